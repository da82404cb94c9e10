// Asking any other model: by a request in JSON.

import { duration, element, note, show, showError } from "./answers.js";
import { ask, inputsOf } from "./server.js";

/** The tool for a model whose task this page does not know. */
export function requestTool(model) {
  const tool = document.getElementById("request-tool").content.cloneNode(true);
  const form = tool.querySelector("form");
  const answer = tool.querySelector("[data-answer]");
  const field = form.querySelector("textarea");
  const inputs = Object.keys(inputsOf(model));
  const example = { instances: [Object.fromEntries(inputs.map((name) => [name, []]))] };
  field.value = JSON.stringify(example, null, 2);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const begin = performance.now();
    try {
      const found = await ask(model.name, "predict", JSON.parse(field.value));
      show(answer, element("pre", {}, JSON.stringify(found, null, 2)), note(`answered in ${duration(begin)}`));
    } catch (error) {
      showError(answer, error);
    }
  });
  return tool;
}
