"use strict";
// A click on the head of a column sorts its table: numbers from the largest, texts from A. Without it
// the page shows the same.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const numbers = head.classList.contains("n");
    const key = row => {
      const text = row.cells[column].textContent.replaceAll("\u202f", "");
      return numbers ? parseFloat(text) : text;
    };
    const compare = (a, b) => numbers ? a - b : a.localeCompare(b, "en", {numeric: true});
    const sort = () => {
      const was = head.getAttribute("aria-sort");
      const falls = was ? was === "ascending" : numbers;
      heads.forEach(one => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const rows = [...body.rows].map(row => [key(row), row]);
      // What has no number stays at the end.
      const known = rows.filter(([value]) => !numbers || Number.isFinite(value));
      const rest = rows.filter(([value]) => numbers && !Number.isFinite(value));
      known.sort(([a], [b]) => falls ? compare(b, a) : compare(a, b));
      body.append(...known.concat(rest).map(([, row]) => row));
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort();
    });
  });
}
