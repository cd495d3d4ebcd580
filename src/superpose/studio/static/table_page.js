// The table: its columns, what each is used for, and the mistakes, each where it can be put right.

import { post, upload } from "./api.js";
import { bars } from "./charts.js";
import { h, replace, sentence } from "./dom.js";
import { term } from "./words.js";

const ROLES = [
  ["feature", "learn from"], ["target", "target"], ["linear", "enters linearly"], ["weights", "weights"],
  ["out", "leave out"],
];

export class TablePage {
  constructor(studio) {
    this.studio = studio;
    this.element = h("section", { class: "page", "aria-label": "Table" });
    this.clear();
  }

  begin(state) {
    this.examples = state.examples;
    this.draw();
    if (state.given?.model) this.model = state.given;
    if (state.given && !state.runs.length) this.load(Promise.resolve(state.given));
  }

  clear() {
    this.table = null;
    this.found = null;
    this.roles = new Map();
    this.options = { task: "regression", time_limit: 45, missing: "", hidden: "5", sparsity: 0 };
    this.mistake = null;
    this.draw();
  }

  draw() {
    if (!this.found) replace(this.element, this.welcome());
    else replace(this.element, this.heading(), this.choices(), this.columns(), this.rows());
  }

  // -- before there is a table

  welcome() {
    const input = h("input", { type: "file", id: "file", class: "unseen", onchange: () => this.load(upload(input.files[0])) });
    const zone = h("div", {
      class: "drop",
      ondragover: (event) => {
        event.preventDefault();
        zone.classList.add("over");
      },
      ondragleave: () => zone.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        zone.classList.remove("over");
        if (event.dataTransfer.files.length) this.load(this.uploaded(event.dataTransfer.files[0]));
      },
    }, h("h2", {}, "Drop a table here"),
    h("p", {}, "Text such as CSV, Excel, JSON, Parquet, Arrow, SQLite or DuckDB. It stays on this machine."),
    input, h("label", { for: "file", class: "button" }, "Choose a file"));
    const busy = h("p", { id: "reading", class: "quiet", role: "status" });
    return h("div", { class: "welcome" },
      this.model ? h("p", { class: "note", role: "status" }, `The model ${this.model.name} is here. Drop a table that has its columns.`) : null,
      zone, busy, this.place("file"),
      this.table && this.mistake ? this.reading(true) : null,
      h("h2", {}, "Or begin with an example"),
      h("ul", { class: "examples" }, (this.examples ?? []).map((example) => h("li", {}, h("button", {
        type: "button", onclick: () => this.load(post("/api/examples", { name: example.name })),
      }, h("b", {}, example.name), h("span", {}, example.says))))));
  }

  async uploaded(file) {
    return upload(file);
  }

  async load(stored) {
    const busy = this.element.querySelector("#reading");
    if (busy) busy.textContent = "Reading the table …";
    try {
      this.table = await stored;
      if (this.table.model) {
        this.model = this.table;
        this.table = null;
        this.draw();
        return;
      }
      this.found = await post(`/api/tables/${this.table.id}`, { options: {} });
      if (this.found.guess) this.roles.set(this.found.guess, "target");
      await this.look();
    } catch (error) {
      this.fail(error);
    }
  }

  // -- what was chosen

  chosen() {
    const names = (role) => [...this.roles].filter(([, one]) => one === role).map(([name]) => name);
    const out = names("out");
    const columns = this.found?.columns ?? [];
    const used = columns.map((column) => column.name).filter((name) => ["feature", "linear"].includes(this.role(name)));
    const [target] = names("target");
    const [weights] = names("weights");
    const { task, missing, where, decimal, encoding, sheet, query, combine } = this.options;
    const options = { task, target, weights, missing, where, decimal, encoding, sheet, query };
    if (out.length) options.features = used.filter((name) => this.usable(name));
    if (names("linear").length) options.linear = names("linear");
    if (combine?.trim()) options.combine = combine.split(",").map((pair) => pair.trim());
    for (const name of Object.keys(options)) if (!options[name]) delete options[name];
    return options;
  }

  usable(name) {
    return !this.found.columns.find((column) => column.name === name)?.problem;
  }

  role(name) {
    return this.roles.get(name) ?? (this.usable(name) ? "feature" : "out");
  }

  setRole(name, role) {
    if (role === "target" || role === "weights") {
      for (const [other, one] of this.roles) if (one === role) this.roles.delete(other);
    }
    this.roles.set(name, role);
    this.look();
  }

  set(name, value) {
    this.options[name] = value;
    this.look();
  }

  async look() {
    const asked = {};
    for (const [name, value] of Object.entries(this.chosen())) {
      if (!["linear", "combine"].includes(name)) asked[name] = value;
    }
    const number = (this.asked = (this.asked ?? 0) + 1);
    try {
      const found = await post(`/api/tables/${this.table.id}`, { options: asked });
      if (number !== this.asked) return;
      this.found = found;
      this.mistake = found.error;
      this.redraw();
    } catch (error) {
      if (number === this.asked) this.fail(error);
    }
  }

  fail(error) {
    this.mistake = { sentence: error.message, place: error.place ?? {} };
    this.redraw();
  }

  // Draw anew, with the focus where it was, and what is being typed there.
  redraw() {
    const focused = this.element.contains(document.activeElement) ? document.activeElement : null;
    const id = focused?.id ?? "";
    const typed = focused?.matches("input[type=text], input[type=number]") ? focused.value : null;
    const open = [...this.element.querySelectorAll("details[open]")].map((details) => details.id);
    this.draw();
    for (const details of open) {
      const found = details && this.element.querySelector(`#${CSS.escape(details)}`);
      if (found) found.open = true;
    }
    for (const alert of this.element.querySelectorAll(".mistake")) {
      const details = alert.closest("details");
      if (details) details.open = true;
    }
    const again = id ? document.getElementById(id) : null;
    again?.focus();
    if (again && typed !== null) again.value = typed;
  }

  // The mistake, if this is where it can be put right.
  place(option, column) {
    if (!this.mistake) return null;
    const { place } = this.mistake;
    const known = this.found !== null && this.found.columns.some((one) => one.name === place.column);
    const here = column !== undefined
      ? known && place.column === column && !FIELDS.includes(place.option)
      : place.option === option || (option === "file" && !(known && !FIELDS.includes(place.option)) && !FIELDS.includes(place.option))
        || (option === "file" && !this.found && place.option !== "file" && !READING.includes(place.option));
    return here ? h("p", { class: "mistake", role: "alert" }, sentence(this.mistake.sentence)) : null;
  }

  // -- the parts of the page

  heading() {
    const { found } = this;
    return h("header", { class: "heading" },
      h("h2", {}, found.label),
      h("p", { class: "quiet" }, `${found.rows.toLocaleString("en")} rows, ${found.columns.length} columns`,
        found.facts.rows ? ` · ${found.facts.rows}` : ""),
      found.notes.map((note) => h("p", { class: "note" }, sentence(note))), this.place("file"));
  }

  field(name, label, control, hint) {
    return h("div", { class: "field" }, h("label", { for: control.id }, label), control,
      hint ? h("span", { class: "hint" }, hint) : null, this.place(name));
  }

  text(name, label, hint) {
    const input = h("input", {
      type: "text", id: `option-${name}`, value: this.options[name] ?? "", onchange: () => this.set(name, input.value),
    });
    return this.field(name, label, input, hint);
  }

  select(name, label, choices, hint) {
    const control = h("select", { id: `option-${name}`, onchange: () => this.set(name, control.value) },
      choices.map(([value, text]) => h("option", { value, selected: value === (this.options[name] ?? "") }, text)));
    return this.field(name, label, control, hint);
  }

  choices() {
    const targets = this.found.columns.filter((column) => column.kind !== "empty").map((column) => [column.name, column.name]);
    const target = [...this.roles].find(([, role]) => role === "target")?.[0] ?? "";
    const choice = h("select", { id: "option-target", onchange: () => this.setRole(choice.value, "target") },
      target ? null : h("option", { value: "" }, "choose a column"),
      targets.map(([value, text]) => h("option", { value, selected: value === target }, text)));
    const limit = h("input", {
      type: "number", id: "option-time_limit", min: "1", step: "1", value: this.options.time_limit,
      oninput: () => (this.options.time_limit = Number(limit.value)),
    });
    return h("form", { class: "choices", onsubmit: (event) => event.preventDefault() },
      h("div", { class: "fields" },
        this.field("target", term("target", "Target"), choice),
        this.select("task", "It is", [["regression", "a number"], ["classification", "one of some classes"]]),
        this.select("missing", "Missing cells", [
          ["", "are refused"], ["drop", "leave out their rows"], ["median", "are filled with the median"],
          ["indicator", "are filled, and a column says where"],
        ]),
        this.field("time_limit", "Seconds", limit),
        h("div", { class: "go" }, this.model ? h("button", {
          type: "button", id: "open", onclick: () => this.start("open"),
        }, `Open ${this.model.name}`) : null, h("button", {
          type: "button", class: "primary", id: "search", disabled: !target, onclick: () => this.start("search"),
        }, "Find the law"))),
      this.network(target), this.reading(false));
  }

  network(target) {
    const widths = h("input", {
      type: "text", id: "option-hidden", value: this.options.hidden, oninput: () => (this.options.hidden = widths.value),
    });
    const shown = h("output", { for: "option-sparsity" }, sparsityText(this.options.sparsity));
    const slider = h("input", {
      type: "range", id: "option-sparsity", min: "0", max: String(SPARSITIES.length - 1), step: "1",
      value: String(this.options.sparsity),
      oninput: () => {
        this.options.sparsity = Number(slider.value);
        shown.textContent = sparsityText(this.options.sparsity);
      },
    });
    return h("details", { id: "by-hand" }, h("summary", {}, "Train a network of my own shape"),
      h("div", { class: "fields" },
        this.field("shape", "Hidden nodes, layer by layer", widths, "5 for one layer of five; 4,2 for two layers; nothing for none"),
        h("div", { class: "field" }, h("label", { for: "option-sparsity" }, term("sparsity", "Sparsity"), " ", shown), slider),
        h("div", { class: "go" }, h("button", {
          type: "button", id: "train", disabled: !target, onclick: () => this.start("train"),
        }, "Train it"))));
  }

  reading(alone) {
    return h("details", { id: "reading-options", open: alone }, h("summary", {}, "How the file is read, and which rows and pairs are used"),
      h("div", { class: "fields" },
        this.text("where", "Rows to use", "such as price > 0 and kind != 'x'"),
        alone ? null : this.text("combine", term("combined", "Combined columns"), "such as x/y, u-v"),
        this.select("decimal", "Decimal mark", [["", "found by itself"], [".", "point"], [",", "comma"]]),
        this.text("encoding", "Encoding of the text", "such as cp1250; UTF-8 if left out"),
        this.text("sheet", "Sheet of a workbook"),
        this.text("query", "Query of a database", "SELECT …")));
  }

  columns() {
    const row = (column, number) => {
      const role = this.role(column.name);
      const choice = h("select", {
        id: `role-${number}`, "aria-label": `Use of ${column.name}`, onchange: () => this.setRole(column.name, choice.value),
      }, ROLES.map(([value, text]) => h("option", { value, selected: value === role }, text)));
      const says = this.place(null, column.name);
      return [
        h("tr", { class: role },
          h("th", { scope: "row" }, column.name), h("td", {}, choice), h("td", {}, column.kind),
          h("td", {}, column.holds), h("td", { class: "number" }, column.missing || ""),
          h("td", {}, column.histogram ? bars(column.histogram, `Values of ${column.name}`) : ""),
          h("td", { class: "quiet" }, column.result)),
        says ? h("tr", {}, h("td", { colspan: "7" }, says)) : null,
      ];
    };
    const heads = ["column", "used to", "kind", "range or levels", "gaps", "values", "becomes"];
    return h("section", {}, h("h2", {}, "Columns"), h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Columns" },
      h("table", { class: "columns" },
        h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, this.found.columns.map(row)))));
  }

  rows() {
    const { columns, head } = this.found;
    return h("section", {}, h("h2", {}, "First rows"),
      h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "First rows" }, h("table", { class: "cells" },
        h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col" }, column.name)))),
        h("tbody", {}, head.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell))))))));
  }

  async start(kind) {
    const options = { ...this.chosen(), time_limit: this.options.time_limit };
    if (kind === "train") {
      delete options.linear;
      delete options.combine;
      const widths = this.options.hidden.split(/[\s,]+/).filter(Boolean).map(Number);
      options.hidden = widths;
      options.sparsity = SPARSITIES[this.options.sparsity];
    }
    try {
      const { id } = await post("/api/runs", { table: this.table.id, kind, options, model: this.model?.id });
      this.pending = id;
      if (kind === "open") this.model = null;
      this.studio.open(id, "run");
    } catch (error) {
      this.fail(error);
    }
  }

  // A run that could not begin brings its sentence to the place where it can be put right.
  happened(news, run) {
    if (news.status === "failed" && run.id === this.pending && run.parts.place && this.found) {
      this.mistake = { sentence: run.parts.sentence, place: run.parts.place };
      this.redraw();
    }
  }
}

// Options with a field of their own; those of them on how the file is read.
const READING = ["where", "decimal", "encoding", "sheet", "query"];
const FIELDS = ["target", "task", "missing", "time_limit", "combine", "shape", ...READING];
// Round numbers, those of the tool of the network too; with 0.01 the idle edges of the first example go.
const SPARSITIES = [0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1];

function sparsityText(place) {
  return place === 0 ? "off" : String(SPARSITIES[place]);
}
