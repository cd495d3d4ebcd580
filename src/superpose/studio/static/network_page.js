// The network in hand, and its history: the components that the notebook has too, with requests to this run.

import { get, post } from "./api.js";
import { h, replace } from "./dom.js";
import { HistoryList } from "./history_list.js";
import { NetworkView } from "./network_view.js";

// Requests of all pages about the network of the run that is shown.
export class Hand {
  constructor(studio) {
    this.studio = studio;
    this.id = 0;
  }

  send(request) {
    return post(`/api/runs/${this.studio.run.id}/network`, request);
  }

  // The answer; the promise fails with the sentence of what went wrong.
  async ask(action, more = {}) {
    this.id += 1;
    const answer = await this.send({ id: this.id, action, ...more });
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  residuals() {
    return get(`/api/runs/${this.studio.run.id}/residuals`);
  }
}

const WAITING = "The run has no network yet. It appears here when the search is done, or stopped.";

export class NetworkPage {
  constructor(studio) {
    this.studio = studio;
    this.empty = h("p", { class: "quiet" }, WAITING);
    this.place = h("div", { class: "hand" });
    this.element = h("section", { class: "page" });
  }

  opened() {
    replace(this.place);
    this.view = null;
    replace(this.element, this.empty);
  }

  happened(news, run) {
    if (!run.parts.session) return;
    if (!this.view) {
      replace(this.element, h("h2", { class: "unseen" }, "Network in hand"), this.place);
      const send = (request) => this.studio.hand.send(request).catch((error) => ({ id: request.id, error: error.message }));
      this.view = new NetworkView(this.place, {
        send, stop: () => this.studio.control("stop").catch(() => null), tabs: ["Edge", "Tools", "History"],
      });
      this.view.update({ network: run.parts.session.network, history: run.parts.session.history });
    } else if (news.session) {
      this.view.update({ network: news.session.network, history: news.session.history });
    }
    if (news.training && run.parts.busy) this.view.update({ network: news.training.network });
    if ("busy" in news || news.status) {
      const { busy, status } = run.parts;
      const training = busy ? { text: status === "paused" ? "paused" : "training", record: busy } : null;
      this.view.update({ busy: training });
    }
  }
}

export class HistoryPage {
  constructor(studio) {
    this.studio = studio;
    this.element = h("section", { class: "page", "aria-label": "History" });
  }

  opened() {
    replace(this.element, h("p", { class: "quiet" }, WAITING));
    this.list = null;
  }

  happened(news, run) {
    if (!news.session) return;
    if (!this.list) {
      const place = h("div", { class: "sp-view history" });
      const said = h("p", { class: "mistake", role: "alert", hidden: true });
      replace(this.element, h("h2", {}, "Steps"),
        h("p", { class: "quiet" }, "Each with its error before and after. Choose one to go back to it; what is done from there begins a branch."),
        said, place);
      const ask = (action, more) => this.studio.hand.ask(action, more);
      const change = async (action, more) => {
        said.hidden = true;
        try {
          return await ask(action, more);
        } catch (error) {
          said.textContent = error.message;
          said.hidden = false;
          return null;
        }
      };
      this.list = new HistoryList(place, { ask, change });
    }
    this.list.update(run.parts.session.history);
  }
}
