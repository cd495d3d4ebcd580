// The formula: typeset, its constants and errors, the front, and what it leaves on rows that were held out.

import { scatter } from "./charts.js";
import { figure, h, math, replace, sentence } from "./dom.js";
import { FormulaView } from "./formula_view.js";
import { term } from "./words.js";

export class FormulaPage {
  constructor(studio) {
    this.studio = studio;
    this.element = h("section", { class: "page", "aria-label": "Formula" });
  }

  opened() {
    this.state = "";
    this.shownState = "";
    this.view = null;
    replace(this.element, h("p", { class: "quiet" }, "The run has no formula yet."));
  }

  happened(news, run) {
    if (!run.parts.session) return;
    const current = run.parts.session.history.find((one) => one.current);
    this.state = JSON.stringify([run.id, current.id, current.parameters, current.error_train]);
    if (this.studio.page === "formula") this.shown();
    if (news.front && this.front) this.drawFront(run);
  }

  shown() {
    if (!this.state || this.state === this.shownState) return;
    this.shownState = this.state;
    const run = this.studio.run;
    if (!this.view) {
      const place = h("div", { class: "sp-view formula-view" });
      this.front = h("section", {});
      this.pictures = h("section", { "aria-label": "Residuals" });
      replace(this.element, place, this.front, this.pictures);
      this.view = new FormulaView(place, { ask: (action, more) => this.studio.hand.ask(action, more) });
      this.drawFront(run);
    }
    this.view.show(this.state);
    this.drawResiduals(this.state);
  }

  drawFront(run) {
    const rows = run.parts.front ?? [];
    if (!rows.length) return;
    const shown = h("div", { class: "found", hidden: true });
    const choose = (row) => {
      shown.hidden = false;
      replace(shown, math(row.mathml, row.formula), h("p", { class: "formula-text" }, row.formula));
    };
    replace(this.front, h("h2", {}, "From simple to accurate: the ", term("front", "front"), " of the search"),
      h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Front" }, h("table", { class: "front" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, term("complexity", "nodes")), h("th", { scope: "col" }, "error"),
          h("th", { scope: "col" }, "formula"))),
        h("tbody", {}, rows.map((row) => h("tr", { class: row.recommended ? "recommended" : "" },
          h("td", { class: "number" }, String(row.complexity)), h("td", { class: "number" }, figure(row.error)),
          h("td", {}, h("button", { type: "button", class: "link", onclick: () => choose(row) },
            row.formula.length > 100 ? `${row.formula.slice(0, 99)}…` : row.formula))))))), shown);
  }

  async drawResiduals(state) {
    try {
      const found = await this.studio.hand.residuals();
      if (state !== this.state) return;
      if (found.classes) {
        replace(this.pictures, h("h2", {}, `Classes, on ${found.rows}`), confusion(found));
        return;
      }
      const [target] = found.targets;
      const [measured, predicted] = [found.measured[0], found.predicted[0]];
      const left = measured.map((value, place) => value - predicted[place]);
      replace(this.pictures, h("h2", {}, `On ${found.rows}`), h("div", { class: "charts" },
        scatter(predicted, measured, `${target} predicted`, `${target} measured`, true),
        scatter(predicted, left, `${target} predicted`, "residual"),
        Object.entries(found.columns).slice(0, 40).map(([name, values]) => scatter(values, left, name, "residual"))));
    } catch (error) {
      if (state === this.state) replace(this.pictures, h("p", { class: "quiet" }, sentence(error.message)));
    }
  }
}

// Rows of each class, and what the network takes them for.
function confusion(found) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Classes" }, h("table", { class: "confusion" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "measured, and what the network says →"),
      found.classes.map((name) => h("th", { scope: "col", class: "number" }, name)))),
    h("tbody", {}, found.confusion.map((counts, row) => h("tr", {}, h("th", { scope: "row" }, found.classes[row]),
      counts.map((count, column) => h("td", { class: row === column ? "number right" : "number" }, String(count))))))));
}
