// The page of a server: choose a model and ask it.

import { showError } from "./answers.js";
import { imageTool } from "./image_tool.js";
import { requestTool } from "./request_tool.js";
import { inputsOf, models } from "./server.js";
import { textTool } from "./text_tool.js";

const about = document.getElementById("about");
const tools = document.getElementById("tools");
const select = document.getElementById("models");

function toolFor(model) {
  const { task, image_shape: shape } = model.description;
  if (task === "image-classification" && shape) {
    return imageTool(model);
  }
  const takesTexts = inputsOf(model);
  const isText = "text" in takesTexts || "source" in takesTexts || model.streams;
  if (isText && ["text-classification", "language-modeling", "translation"].includes(task)) {
    return textTool(model);
  }
  return requestTool(model);
}

function choose(model) {
  const { task, model: architecture } = model.description;
  const kind = architecture ? ` (model ${architecture})` : "";
  about.textContent = `${model.name}, version ${model.version}${task ? `: ${task}${kind}` : ""}`;
  tools.replaceChildren(toolFor(model));
}

try {
  const found = await models();
  for (const model of found) {
    select.append(new Option(model.name, model.name));
  }
  select.disabled = found.length < 2;
  select.addEventListener("change", () => choose(found[select.selectedIndex]));
  choose(found[0]);
} catch (error) {
  showError(about, error);
}
