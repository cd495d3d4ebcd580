// Predictions: a control for each column, the output with its interval, and how each input moves it.

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
    const names = JSON.stringify([found.inputs.map((input) => [input.name, input.low, input.high]), found.columns.map((one) => one.name)]);
    if (names !== this.inputs) this.build(found);
    this.inputs = names;
    replace(this.output, found.classes
      ? classes(found.classes)
      : found.outputs.map((one) => h("p", { class: "big" }, `${one.name} = ${figure(one.value, 5)}`,
        one.low === null ? null : h("span", { class: "quiet" }, "  ", term("interval", `${Math.round(100 * found.level)}%`),
          `: ${figure(one.low, 4)} to ${figure(one.high, 4)}`))),
    found.warnings.map((text) => h("p", { class: "mistake", role: "alert" }, sentence(text))),
    found.note ? h("p", { class: "quiet" }, sentence(found.note)) : null);
    for (const row of this.rows) row.draw(found);
  }

  build(found) {
    this.output = h("div", { class: "found", "aria-live": "polite" });
    // What numbers were made of stands as the table has it; all other inputs are numbers.
    const made = new Set(found.columns.flatMap((column) => column.inputs));
    const inputs = found.inputs.filter((input) => !made.has(input.name));
    this.rows = [
      ...found.columns.map((column, place) => this.column(column, `column-${place}`, found)),
      ...inputs.map((input, place) => this.number(input.name, input, `input-${place}`, found)),
    ];
    replace(this.element, this.output, h("p", { class: "quiet" },
      "Move an input. Each picture shows the output as this input moves, with the others as they are, and dashed its mean over the table (",
      term("partial dependence"), ")."),
    h("div", { class: "inputs" }, this.rows.map((row) => row.element)));
  }

  set(name, value) {
    this.values[name] = value;
    this.ask();
  }

  // The picture of how an input of the model moves the output.
  picture(place, found, name) {
    const input = found.inputs.find((one) => one.name === name);
    replace(place, input.curve && input.curve.y[0]
      ? curve(input.curve.x, input.curve.y[0], input.curve.mean[0], input.value, input.name) : null);
  }

  // A number; `missing` where a gap is a value too.
  number(name, range, id, found, missing = false) {
    const { used } = found.inputs.find((one) => one.name === name);
    const width = range.high - range.low || 1;
    const slider = h("input", {
      type: "range", id, min: range.low - width / 4, max: range.high + width / 4, step: width / 200, value: range.value ?? range.low,
      disabled: !used,
      oninput: () => {
        shown.textContent = figure(Number(slider.value), 4);
        this.set(name, Number(slider.value));
      },
    });
    const gap = missing ? h("input", {
      type: "checkbox", id: `${id}-missing`, checked: range.value === null,
      onchange: () => this.set(name, gap.checked ? null : Number(slider.value)),
    }) : null;
    const [shown, picture] = [h("output", { for: id }), h("div", {})];
    const element = h("div", { class: "input" }, h("label", { for: id }, name), slider, shown,
      gap ? h("span", { class: "quiet" }, h("label", { class: "check" }, gap, " missing")) : null,
      h("span", { class: "quiet" }, used || missing ? `table: ${figure(range.low, 4)} to ${figure(range.high, 4)}` : "does not matter"), picture);
    const draw = (now) => {
      const input = now.inputs.find((one) => one.name === name);
      const empty = Boolean(gap?.checked);
      slider.disabled = empty || !used;
      shown.textContent = empty ? "missing" : figure(input.value, 4);
      shown.classList.toggle("outside", !empty && input.outside);
      if (empty) replace(picture);
      else this.picture(picture, now, name);
    };
    return { element, draw };
  }

  // A column as the table has it.
  column(column, id, found) {
    const { name } = column;
    const used = found.inputs.some((input) => column.inputs.includes(input.name) && input.used);
    if (!column.choices && column.kind !== "date") {
      const [first] = column.inputs;
      // Where the value is missing, its range is that of the numbers that fill it.
      const range = found.inputs.find((input) => input.name === first);
      return this.number(first === name ? name : first, { ...range, value: column.value }, id, found, column.missing && first === name);
    }
    const place = h("div", {});
    const control = column.choices
      ? h("select", { id, disabled: !used, onchange: () => this.set(name, control.value === "" ? null : control.value.slice(1)) },
        column.choices.map((choice) => h("option", { value: `=${choice}`, selected: choice === column.value }, choice)),
        column.missing ? h("option", { value: "", selected: column.value === null }, "missing") : null)
      : h("input", {
        type: "date", id, value: column.value, disabled: !used, onchange: () => control.value && this.set(name, control.value),
      });
    const says = column.choices ? null : `table: ${column.low} to ${column.high}`;
    const element = h("div", { class: "input" }, h("label", { for: id }, name), control,
      used ? says && h("span", { class: "quiet" }, says) : h("span", { class: "quiet" }, "does not matter"), place);
    const draw = (now) => {
      const own = now.columns.find((one) => one.name === name);
      if (own.choices && used) replace(place, outcomes(own, found.classes !== null));
      else if (used) this.picture(place, now, own.inputs[0]);
    };
    return { element, draw };
  }
}

// The output of each level, with all other inputs as they are.
function outcomes(column, classes) {
  return h("table", { class: "outcomes" }, h("caption", {}, classes ? "Score of each" : "Output of each"), h("tbody", {},
    column.outcomes.map(([choice, values]) => h("tr", { class: choice === column.value ? "now" : "" },
      h("th", { scope: "row" }, choice), values.map((value) => h("td", { class: "number" }, figure(value, 4)))))));
}

// The most probable class, and how probable each is.
function classes(found) {
  const best = found.reduce((one, other) => (other.probability > one.probability ? other : one));
  const percent = (one) => `${(100 * one.probability).toFixed(1)}%`;
  return [h("p", { class: "big" }, best.name, h("span", { class: "quiet" }, `  with a probability of ${percent(best)}`)),
    h("p", { class: "quiet" }, found.map((one) => `${one.name}: ${percent(one)}`).join(" · "))];
}
