// The way to the server: requests of JSON, dropped files, and the stream of events.

export class Mistake extends Error {
  constructor(sentence, place) {
    super(sentence);
    this.place = place ?? {};
  }
}

async function answer(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // An answer that is no JSON is one of a server that is about to end.
  }
  if (!response.ok) throw new Mistake(body.error ?? "The studio's server gave no answer.");
  if (body.mistake) throw new Mistake(body.mistake.sentence, body.mistake.place);
  return body;
}

async function asked(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Mistake("The studio's server does not answer; start 'superpose studio' again.");
  }
  return answer(response);
}

export function get(path) {
  return asked(path);
}

export function post(path, body) {
  return asked(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
}

const LARGEST = 200 * 2 ** 20;

export function upload(file) {
  if (file.size > LARGEST) {
    throw new Mistake("The studio takes files of at most 200 MB; for larger ones name the table on the command line.");
  }
  const headers = { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(file.name) };
  return asked("/api/uploads", { method: "POST", headers, body: file });
}

// Calls the listeners with what the server sends, and `trouble` when it is gone or there again.
export class Events {
  constructor(listeners, trouble) {
    this.listeners = listeners;
    this.trouble = trouble;
    this.source = null;
  }

  watch(run) {
    this.source?.close();
    const source = new EventSource(run ? `/api/events?run=${encodeURIComponent(run)}` : "/api/events");
    this.source = source;
    for (const [name, listener] of Object.entries(this.listeners)) {
      source.addEventListener(name, (event) => {
        if (this.source === source) listener(JSON.parse(event.data));
      });
    }
    source.addEventListener("open", () => this.trouble(""));
    source.addEventListener("error", () => {
      if (this.source === source) this.trouble("The studio's server does not answer; start 'superpose studio' again.");
    });
  }
}
