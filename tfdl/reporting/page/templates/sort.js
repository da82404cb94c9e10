"use strict";
// Makes the columns of tables sortable. Without this script the tables are the same, in their first order.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headers = [...table.tHead.rows[0].cells];
  // The first text of a number's cell is its value; an interval or a remark follows in an element.
  const keyOf = (cell, isNumber) => ((isNumber ? cell.firstChild : cell)?.textContent ?? "").trim();
  const numberOf = (text) => parseFloat(text.replace(/[★,%\s]/g, ""));
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const isNumber = header.classList.contains("n");
      const wasDown = header.getAttribute("aria-sort") === "descending";
      const isDown = header.hasAttribute("aria-sort") ? !wasDown : isNumber;
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => {
        const [first, second] = [keyOf(a.cells[column], isNumber), keyOf(b.cells[column], isNumber)];
        if (!isNumber) return first.localeCompare(second);
        const [x, y] = [numberOf(first), numberOf(second)];
        return (Number.isNaN(x) ? -Infinity : x) - (Number.isNaN(y) ? -Infinity : y);
      });
      body.append(...(isDown ? rows.reverse() : rows));
    });
  });
}
