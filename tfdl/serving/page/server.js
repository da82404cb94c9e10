// What the page asks the server.

/** All models, with what their exports say about themselves. */
export async function models() {
  const answer = await asked("v1/models");
  return answer.models;
}

/** What a request without the name of a signature must have, by name. */
export function inputsOf(model) {
  const { serving_default: byDefault, ...others } = model.signatures;
  return (byDefault ?? Object.values(others)[0])?.inputs ?? {};
}

/**
 * The answer of a model.
 *
 * @param {string} name of the model
 * @param {string} method such as "predict"
 * @param {object} request the body
 * @param {AbortSignal} [signal] ends the request
 */
export function ask(name, method, request, signal) {
  return asked(`v1/models/${encodeURIComponent(name)}:${method}`, options(request, signal));
}

/**
 * The events of a text that is written, one after the other.
 *
 * @param {string} name of the model
 * @param {object} request the body
 * @param {AbortSignal} signal ends the request
 */
export async function* events(name, request, signal) {
  const address = `v1/models/${encodeURIComponent(name)}:generate`;
  const response = await checked(await fetch(address, options({ ...request, stream: true }, signal)));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      yield event(block);
    }
  }
}

function event(block) {
  const lines = block.split("\n").filter((line) => line.startsWith("data:"));
  const value = JSON.parse(lines.map((line) => line.slice("data:".length)).join("\n"));
  if (value.error !== undefined) {
    throw new Error(value.error);
  }
  return value;
}

function options(request, signal) {
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(request), signal };
}

async function asked(address, request) {
  const response = await checked(await fetch(address, request));
  return response.json();
}

async function checked(response) {
  if (response.ok) {
    return response;
  }
  const text = await response.text();
  let message = text;
  try {
    message = JSON.parse(text).error;
  } catch {
    // not one of the server's own answers
  }
  throw new Error(message || `the server answered ${response.status}`);
}
