// How answers are shown. Everything that a server or a user wrote becomes text, never markup.

const MOST_CLASSES = 5;

/** An element with attributes and children, which are elements or texts. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Puts elements in the place of what an area showed. */
export function show(area, ...elements) {
  area.replaceChildren(...elements);
}

export function showError(area, error) {
  show(area, element("p", { class: "error", role: "alert" }, error.message));
}

/**
 * The likeliest classes with their probabilities.
 *
 * @param {number[]} probabilities of all classes
 * @param {string[]} names of all classes
 */
export function classes(probabilities, names) {
  const order = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
  const rows = order.slice(0, MOST_CLASSES).map((index) => {
    const share = probabilities[index];
    const percent = `${(100 * share).toFixed(1)}%`;
    const name = names[index] ?? `class ${index}`;
    const meter = element("meter", { min: 0, max: 1, value: share, "aria-label": `probability of ${name}` }, percent);
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      element("td", { class: "share" }, percent),
      element("td", {}, meter),
    );
  });
  return element("table", { class: "classes" }, element("tbody", {}, ...rows));
}

/** A line under an answer. */
export function note(text) {
  return element("p", { class: "hint" }, text);
}

/** How long an answer took, since a time of performance.now(). */
export function duration(begin) {
  return `${Math.round(performance.now() - begin)} ms`;
}
