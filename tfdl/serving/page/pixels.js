// Pictures as the model gets them.

/** How drawings are framed, as shares of an image's width: the empty border, and the thickness of a line. */
const FRAMES = {
  digits: { border: 0, line: 1 / 5 }, // 8x8 pixels, filled from edge to edge
  other: { border: 4 / 28, line: 1 / 9 }, // as MNIST and its relatives
};

/** How the data set of a name frames its drawings. */
export function frameOf(dataset) {
  return FRAMES[dataset] ?? FRAMES.other;
}

/**
 * A drawing in the size of the training images: the part with ink, in the middle, as data sets of digits have it.
 *
 * @param {HTMLCanvasElement} paper white ink on black
 * @param {number} border that is left empty, as a share of the width
 * @param {number} height of the training images
 * @param {number} width of the training images
 * @returns {HTMLCanvasElement | null} null if there is no ink
 */
export function drawing(paper, border, height, width) {
  const box = inkOf(paper);
  if (box === null) {
    return null;
  }
  const scale = ((1 - 2 * border) * Math.min(width, height)) / Math.max(box.width, box.height);
  const target = [box.width * scale, box.height * scale];
  const corner = [(width - target[0]) / 2, (height - target[1]) / 2];
  const made = canvas(height, width);
  const context = made.getContext("2d");
  context.fillStyle = "black";
  context.fillRect(0, 0, width, height);
  smooth(context);
  context.drawImage(paper, box.left, box.top, box.width, box.height, ...corner, ...target);
  return made;
}

/**
 * A picture in the size of the training images.
 *
 * @param {ImageBitmap} picture of any size
 * @param {number} height of the training images
 * @param {number} width of the training images
 */
export function resized(picture, height, width) {
  const made = canvas(height, width);
  const context = made.getContext("2d");
  context.fillStyle = "white"; // as training reads transparent pictures
  context.fillRect(0, 0, width, height);
  smooth(context);
  context.drawImage(picture, 0, 0, width, height);
  return made;
}

/** The bytes of a file or a canvas in Base64. */
export async function base64(source) {
  const blob = source instanceof Blob ? source : await new Promise((done) => source.toBlob(done, "image/png"));
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const part = 0x8000; // fewer arguments than a call may have
  let text = "";
  for (let start = 0; start < bytes.length; start += part) {
    text += String.fromCharCode(...bytes.subarray(start, start + part));
  }
  return btoa(text);
}

/** The pixels of a canvas, as nested arrays (height, width, channels). */
export function pixels(source, channels) {
  const { width, height } = source;
  const { data } = source.getContext("2d").getImageData(0, 0, width, height);
  return Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (_, column) => {
      const [red, green, blue] = data.subarray(4 * (row * width + column));
      return channels === 1 ? [Math.round(0.299 * red + 0.587 * green + 0.114 * blue)] : [red, green, blue];
    }),
  );
}

function canvas(height, width) {
  const made = document.createElement("canvas");
  made.height = height;
  made.width = width;
  return made;
}

function smooth(context) {
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
}

function inkOf(paper) {
  const { data } = paper.getContext("2d").getImageData(0, 0, paper.width, paper.height);
  let [left, top, right, bottom] = [paper.width, paper.height, -1, -1];
  for (let place = 0; place < paper.width * paper.height; place += 1) {
    if (data[4 * place] > 0) {
      const column = place % paper.width;
      const row = Math.floor(place / paper.width);
      left = Math.min(left, column);
      right = Math.max(right, column);
      top = Math.min(top, row);
      bottom = Math.max(bottom, row);
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}
