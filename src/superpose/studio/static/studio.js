// The page: its tabs, the list of runs, and the stream of what happens in the run that is shown.

import { Events, get, post } from "./api.js";
import { h, replace } from "./dom.js";
import { FormulaPage } from "./formula_page.js";
import { Hand, HistoryPage, NetworkPage } from "./network_page.js";
import { PredictPage } from "./predict_page.js";
import { RunPage } from "./run_page.js";
import { TablePage } from "./table_page.js";
import { TakePage } from "./take_page.js";

const STATUS = { running: "running", paused: "paused", done: "done", failed: "failed", dead: "ended" };

class Studio {
  constructor() {
    this.main = document.getElementById("main");
    this.tabs = document.getElementById("pages");
    this.list = document.getElementById("runs");
    this.runs = [];
    this.run = null;
    this.page = "table";
    this.hand = new Hand(this);
    this.pages = {
      table: new TablePage(this), run: new RunPage(this), network: new NetworkPage(this), history: new HistoryPage(this),
      formula: new FormulaPage(this), predict: new PredictPage(this), take: new TakePage(this),
    };
    this.names = {
      table: "Table", run: "Run", network: "Network", history: "History", formula: "Formula", predict: "Predict", take: "Take away",
    };
    this.events = new Events(
      { runs: (runs) => this.listed(runs), run: (news) => this.happened(news) }, (text) => this.trouble(text));
  }

  async begin() {
    // The key to the studio need not stay where others may read it.
    history.replaceState(null, "", location.pathname + location.hash);
    const state = await get("/api/state");
    this.pages.table.begin(state);
    this.runs = state.runs;
    const wanted = new URLSearchParams(location.hash.slice(1));
    const known = state.runs.find((run) => run.id === wanted.get("run"));
    if (known) this.open(known.id, wanted.get("page") ?? "run");
    else if (state.runs.length) this.open(state.runs.at(-1).id, "run");
    else this.show("table");
    if (!this.run) this.events.watch(null);
  }

  trouble(text) {
    const place = document.getElementById("trouble");
    place.textContent = text;
    place.hidden = !text;
  }

  open(id, page = "run") {
    if (this.run?.id !== id) {
      this.run = { id, parts: {}, log: [], points: [] };
      for (const one of Object.values(this.pages)) one.opened?.(this.run);
      this.events.watch(id);
    }
    this.show(page);
  }

  // Show the place for a new table.
  fresh() {
    this.pages.table.clear();
    this.run = null;
    this.events.watch(null);
    this.show("table");
  }

  show(page) {
    if (!this.pages[page] || (page !== "table" && !this.run)) page = "table";
    this.page = page;
    location.hash = this.run ? `run=${this.run.id}&page=${page}` : "";
    replace(this.main, this.pages[page].element);
    this.pages[page].shown?.();
    this.drawTabs();
    this.drawRuns();
  }

  drawTabs() {
    replace(this.tabs, Object.entries(this.names).map(([page, name]) => h("button", {
      type: "button", class: "tab", "aria-current": page === this.page ? "page" : null,
      disabled: page !== "table" && !this.run, onclick: () => this.show(page),
    }, name)));
  }

  drawRuns() {
    const button = (run) => h("li", {}, h("button", {
      type: "button", class: `run ${run.status}`, "aria-current": this.run?.id === run.id ? "true" : null,
      onclick: () => this.open(run.id),
    }, h("span", { class: "run-name" }, `${run.target} of ${run.table}`),
    h("span", { class: "run-says" }, run.formula ? `= ${run.formula}` : STATUS[run.status]),
    h("span", { class: `dot ${run.status}`, role: "img", "aria-label": STATUS[run.status] })));
    replace(this.list,
      h("button", { type: "button", class: "new", onclick: () => this.fresh() }, "New table"),
      this.runs.length ? h("h2", {}, "Runs") : null,
      h("ul", {}, [...this.runs].reverse().map(button)));
  }

  listed(runs) {
    this.runs = runs;
    if (this.run && !runs.some((run) => run.id === this.run.id)) this.fresh();
    this.drawRuns();
  }

  happened(news) {
    const run = this.run;
    if (!run || news.id !== run.id) return;
    if (news.anew) {
      run.log = [];
      run.points = [];
    }
    if (news.log) run.log.push(...news.log);
    if (news.points) run.points.push(...news.points);
    for (const [name, content] of Object.entries(news)) {
      if (!["id", "log", "points", "anew"].includes(name)) run.parts[name] = content;
    }
    for (const page of Object.values(this.pages)) page.happened?.(news, run);
  }

  async control(action, more = {}) {
    return post(`/api/runs/${this.run.id}`, { action, ...more });
  }
}

const studio = new Studio();
studio.begin().catch((error) => studio.trouble(error.message));
