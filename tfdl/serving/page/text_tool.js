// Asking models of texts: classes, translations, and texts that are continued.

import { classes, duration, element, note, show, showError } from "./answers.js";
import { ask, events } from "./server.js";

const LABELS = {
  "text-classification": "Text to classify",
  "language-modeling": "Text to continue",
  translation: "Text to translate",
};

/** Why a text has fewer tokens than were asked for. The export of a model does not say it. */
const ENDS = {
  end: "where the model ended it",
  positions: "up to the model's last position",
};

/** The tool for a model that takes texts. */
export function textTool(model) {
  const tool = document.getElementById("text-tool").content.cloneNode(true);
  const form = tool.querySelector("form");
  const answer = tool.querySelector("[data-answer]");
  const stop = tool.querySelector("[data-stop]");
  const settings = tool.querySelector("[data-settings]");
  const task = model.description.task;
  tool.querySelector("[data-label]").textContent = LABELS[task];
  settings.hidden = task !== "language-modeling";
  let running = new AbortController();

  async function submit(event) {
    event.preventDefault();
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const text = form.querySelector("textarea").value;
    stop.hidden = !model.streams;
    try {
      await write(model, text, settingsOf(settings), answer, signal);
    } catch (error) {
      if (error.name !== "AbortError") {
        showError(answer, error);
      }
    } finally {
      if (running.signal === signal) {
        stop.hidden = true;
      }
    }
  }

  form.addEventListener("submit", submit);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      form.requestSubmit();
    }
  });
  stop.addEventListener("click", () => running.abort());
  return tool;
}

function settingsOf(fields) {
  if (fields.hidden) {
    return {};
  }
  const values = [...fields.querySelectorAll("input")].map((input) => [input.name, input.valueAsNumber]);
  return Object.fromEntries(values.filter(([, value]) => !Number.isNaN(value)));
}

async function write(model, text, settings, answer, signal) {
  const begin = performance.now();
  if (model.description.task === "text-classification") {
    const { predictions } = await ask(model.name, "predict", { instances: [text] }, signal);
    const names = model.description.class_names;
    show(answer, classes(predictions[0].probabilities, names), note(`answered in ${duration(begin)}`));
    return;
  }
  const given = model.description.task === "language-modeling" ? text : "";
  const written = element("span", { "data-written": "" });
  const status = note("writing …");
  show(answer, element("div", { class: "text" }, element("span", { class: "given" }, given), written), status);
  try {
    await writeInto(model, { text, ...settings }, written, status, signal);
  } catch (error) {
    status.textContent = "stopped";
    throw error;
  }
  status.textContent += `, ${duration(begin)}`;
}

async function writeInto(model, request, written, status, signal) {
  if (!model.streams) {
    if (!model.writes_texts) {
      const { predictions } = await ask(model.name, "predict", { instances: [request.text] }, signal);
      written.textContent = predictions[0].target;
      status.textContent = "done";
      return;
    }
    finish(await ask(model.name, "generate", request, signal), written, status);
    return;
  }
  for await (const event of events(model.name, request, signal)) {
    if (event.piece !== undefined) {
      written.append(event.piece);
    } else {
      finish(event, written, status);
    }
  }
}

function finish(event, written, status) {
  written.textContent = event.generated;
  const end = ENDS[event.finish];
  status.textContent = `${event.tokens} tokens${end === undefined ? "" : `, ${end}`}`;
}
