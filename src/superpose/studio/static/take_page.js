// What is taken away: files that are made when they are asked for.

import { h, replace, sentence } from "./dom.js";

const FILES = [
  ["script.py", "Python script", "Does the same by public functions of superpose; running it gives the same model."],
  ["model.safetensors", "Model", "For superpose.load, and superpose predict, plot and export."],
  ["formula.py", "Formula", "A Python module with the formula; it needs the standard library only."],
  ["predictions.csv", "Predictions", "The table with what the model predicts for each row."],
  ["report.html", "Report", "The page that superpose fit writes, in one file, for others to read."],
  ["start.safetensors", "First network", "The network that the session began with, which its script loads; needed after a search only."],
];

export class TakePage {
  constructor(studio) {
    this.studio = studio;
    this.said = h("p", { class: "mistake", role: "alert", hidden: true });
    this.element = h("section", { class: "page", "aria-label": "Take away" });
  }

  opened() {
    replace(this.element, h("p", { class: "quiet" }, "The run has no network yet."));
  }

  happened(news) {
    if (!news.session || this.element.querySelector(".files")) return;
    replace(this.element, h("h2", {}, "Take away"), this.said, h("ul", { class: "files" }, FILES.map(([name, title, says]) =>
      h("li", {}, h("button", { type: "button", onclick: (event) => this.take(name, event.currentTarget) }, title),
        h("span", { class: "quiet" }, says)))));
  }

  async take(name, button) {
    this.said.hidden = true;
    button.disabled = true;
    try {
      const response = await fetch(`/api/runs/${this.studio.run.id}/files/${name}`);
      if (response.headers.get("Content-Type")?.startsWith("application/json")) {
        const body = await response.json();
        throw new Error(body.mistake?.sentence ?? body.error);
      }
      const disposition = response.headers.get("Content-Disposition") ?? "";
      const url = URL.createObjectURL(await response.blob());
      h("a", { href: url, download: decodeURIComponent(disposition.split("''")[1] ?? name) }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      this.said.textContent = sentence(error.message);
      this.said.hidden = false;
    }
    button.disabled = false;
  }
}
