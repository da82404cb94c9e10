// Asking an image classifier: by drawing, and with pictures.

import { classes, duration, note, show, showError } from "./answers.js";
import { base64, drawing, frameOf, pixels, resized } from "./pixels.js";
import { ask } from "./server.js";

const FILES = ["image/jpeg", "image/png"];

/** The tool for a model of images. */
export function imageTool(model) {
  const tool = document.getElementById("image-tool").content.cloneNode(true);
  const [height, width, channels] = model.description.image_shape;
  const answer = tool.querySelector("[data-answer]");
  const seen = tool.querySelector(".seen");
  const takesFiles = "encoded" in model.signatures;
  let number = 0; // of the newest question; later answers to older ones are not shown

  async function askWith(image, file) {
    number += 1;
    const own = number;
    const begin = performance.now();
    preview(seen, image);
    try {
      const request = takesFiles
        ? { signature_name: "encoded", instances: [{ image_bytes: { b64: await base64(file ?? image) } }] }
        : { instances: [{ image: pixels(image, channels) }] };
      const { predictions } = await ask(model.name, "predict", request);
      if (own === number) {
        const names = model.description.class_names;
        show(answer, classes(predictions[0].probabilities, names), note(`answered in ${duration(begin)}`));
      }
    } catch (error) {
      if (own === number) {
        showError(answer, error);
      }
    }
  }

  function forget() {
    number += 1;
    seen.hidden = true;
    show(answer, note("Nothing asked yet."));
  }

  async function askPicture(file) {
    let picture;
    try {
      picture = await createImageBitmap(file);
    } catch {
      forget();
      showError(answer, new Error(`${file.name} is not a picture that this browser can read`));
      return;
    }
    const isSent = model.description.resized && FILES.includes(file.type);
    await askWith(resized(picture, height, width), isSent ? file : undefined);
  }

  const paper = tool.querySelector(".paper");
  if (channels === 1) {
    const { border, line } = frameOf(model.description.dataset);
    const draw = pen(paper, line, () => {
      const image = drawing(paper, border, height, width);
      return image === null ? forget() : askWith(image);
    });
    tool.querySelector("[data-clear]").addEventListener("click", () => {
      draw.clear();
      forget();
    });
  } else {
    tool.querySelector("[data-draw]").remove();
  }
  pictures(tool.querySelector("[data-drop]"), askPicture);
  return tool;
}

function preview(figure, image) {
  const view = figure.querySelector("canvas");
  view.width = image.width;
  view.height = image.height;
  view.getContext("2d").drawImage(image, 0, 0);
  figure.querySelector("figcaption").textContent = `what the model sees: ${image.width}x${image.height} pixels`;
  figure.hidden = false;
}

/** Draws white lines on a black canvas, and tells when a line ends. */
function pen(paper, share, onLine) {
  const context = paper.getContext("2d", { willReadFrequently: true });
  let isDown = false;

  function clear() {
    context.fillStyle = "black";
    context.fillRect(0, 0, paper.width, paper.height);
  }

  function place(event) {
    const box = paper.getBoundingClientRect();
    const scale = paper.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  paper.addEventListener("pointerdown", (event) => {
    isDown = true;
    paper.setPointerCapture(event.pointerId);
    context.strokeStyle = "white";
    context.lineWidth = share * paper.width;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...place(event));
    context.lineTo(...place(event));
    context.stroke();
  });
  paper.addEventListener("pointermove", (event) => {
    if (isDown) {
      context.lineTo(...place(event));
      context.stroke();
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    paper.addEventListener(end, () => {
      if (isDown) {
        isDown = false;
        onLine();
      }
    });
  }
  clear();
  return { clear };
}

/** Takes pictures that are dropped, pasted or chosen. */
function pictures(area, onPicture) {
  const input = area.querySelector("input");

  function first(files) {
    if (files.length) {
      onPicture(files[0]);
    }
  }

  input.addEventListener("change", () => {
    first([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    first(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (area.isConnected) {
      first(event.clipboardData.files);
    }
  });
}
