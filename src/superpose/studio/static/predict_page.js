// Predictions: a slider for each input, the output with its interval, and how each input moves it.

import { curve } from "./charts.js";
import { figure, h, replace, sentence } from "./dom.js";
import { term } from "./words.js";

export class PredictPage {
  constructor(studio) {
    this.studio = studio;
    this.element = h("section", { class: "page", "aria-label": "Predict" });
  }

  opened() {
    this.state = "";
    this.values = {};
    this.inputs = null;
    replace(this.element, h("p", { class: "quiet" }, "The run has no network yet."));
  }

  happened(news, run) {
    if (!news.session) return;
    const current = run.parts.session.history.find((one) => one.current);
    this.state = JSON.stringify([current.id, current.parameters, current.error_train]);
    if (this.studio.page === "predict") this.shown();
  }

  shown() {
    if (this.state) this.ask();
  }

  // One request at a time; of those that come meanwhile the last is sent.
  async ask() {
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    try {
      this.draw(await this.studio.hand.ask("predict", { inputs: this.values }));
    } catch (error) {
      replace(this.element, h("p", { class: "mistake", role: "alert" }, sentence(error.message)));
      this.inputs = null;
    }
    this.asking = false;
    if (this.again) {
      this.again = false;
      this.ask();
    }
  }

  draw(found) {
    const names = JSON.stringify(found.inputs.map((input) => [input.name, input.low, input.high]));
    if (names !== this.inputs) this.build(found);
    this.inputs = names;
    replace(this.output, found.classes
      ? classes(found.classes)
      : found.outputs.map((one) => h("p", { class: "big" }, `${one.name} = ${figure(one.value, 5)}`,
        one.low === null ? null : h("span", { class: "quiet" }, "  ", term("interval", `${Math.round(100 * found.level)}%`),
          `: ${figure(one.low, 4)} to ${figure(one.high, 4)}`))),
    found.warnings.map((text) => h("p", { class: "mistake", role: "alert" }, sentence(text))),
    found.note ? h("p", { class: "quiet" }, sentence(found.note)) : null);
    for (const [place, input] of found.inputs.entries()) {
      const row = this.rows[place];
      row.shown.textContent = figure(input.value, 4);
      row.shown.classList.toggle("outside", input.outside);
      replace(row.curve, input.curve && input.curve.y[0]
        ? curve(input.curve.x, input.curve.y[0], input.curve.mean[0], input.value, input.name) : null);
    }
  }

  build(found) {
    this.output = h("div", { class: "found", "aria-live": "polite" });
    this.rows = found.inputs.map((input, place) => {
      const width = input.high - input.low || 1;
      const slider = h("input", {
        type: "range", id: `input-${place}`, min: input.low - width / 4, max: input.high + width / 4, step: width / 200,
        value: input.value, disabled: !input.used,
        oninput: () => {
          this.values[input.name] = Number(slider.value);
          row.shown.textContent = figure(Number(slider.value), 4);
          this.ask();
        },
      });
      const row = { slider, shown: h("output", { for: `input-${place}` }), curve: h("div", {}) };
      row.element = h("div", { class: "input" }, h("label", { for: `input-${place}` }, input.name), slider, row.shown,
        h("span", { class: "quiet" }, input.used ? `table: ${figure(input.low, 4)} to ${figure(input.high, 4)}` : "does not matter"), row.curve);
      return row;
    });
    replace(this.element, this.output, h("p", { class: "quiet" },
      "Move an input. Each picture shows the output as this input moves, with the others as they are (dark), and its mean over the table (",
      term("partial dependence"), ", orange)."),
    h("div", { class: "inputs" }, this.rows.map((row) => row.element)));
  }
}

// The most probable class, and how probable each is.
function classes(found) {
  const best = found.reduce((one, other) => (other.probability > one.probability ? other : one));
  const percent = (one) => `${(100 * one.probability).toFixed(1)}%`;
  return [h("p", { class: "big" }, best.name, h("span", { class: "quiet" }, `  with a probability of ${percent(best)}`)),
    h("p", { class: "quiet" }, found.map((one) => `${one.name}: ${percent(one)}`).join(" · "))];
}
