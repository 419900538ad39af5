"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const groups = [...table.tBodies].map(body => [body, [...body.rows]]), heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const other = { ascending: "descending", descending: "ascending" };
    const direction = other[head.getAttribute("aria-sort")] ?? head.dataset.first;
    heads.forEach(each => each.setAttribute("aria-sort", each === head ? direction : "none"));
    const sign = direction === "ascending" ? 1 : -1, isNumber = head.classList.contains("number");
    const compare = (a, b) => isNumber ? a - b : a.localeCompare(b, "en", { numeric: true });
    for (const [body, rows] of groups) body.append(...rows.toSorted((left, right) => {
      const [a, b] = [left, right].map(row => row.cells[column].dataset.value);
      return left.classList.contains("failed") - right.classList.contains("failed")
        || (a === undefined) - (b === undefined)
        || (a === undefined ? 0 : sign * compare(a, b));
    }));
  }));
}
const markCut = new ResizeObserver(entries => {
  for (const { target } of entries) {
    const around = target.closest(".scroll");
    around.classList.toggle("cut", around.scrollWidth > around.clientWidth + 8);
  }
});
for (const around of document.querySelectorAll(".scroll")) for (const watched of [around, ...around.children]) markCut.observe(watched);
const tabs = [...document.querySelectorAll("nav a")];
const panelOf = tab => document.getElementById(tab.hash.slice(1));
function show(chosen) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", tab === chosen);
    tab.tabIndex = tab === chosen ? 0 : -1;
    panelOf(tab).hidden = tab !== chosen;
  }
}
if (tabs.length) {
  tabs[0].parentElement.setAttribute("role", "tablist");
  for (const [place, tab] of tabs.entries()) {
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panelOf(tab).id);
    panelOf(tab).setAttribute("role", "tabpanel");
    tab.addEventListener("click", event => { event.preventDefault(); history.replaceState(null, "", tab.hash); show(tab); });
    tab.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  }
  const wanted = location.hash && document.getElementById(location.hash.slice(1))?.closest("section.data");
  show(tabs.find(tab => panelOf(tab) === wanted) ?? tabs[0]);
}
