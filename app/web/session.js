// Storage across reloads: per tab, or for language and colors per browser.

class Store {
  #storage;

  constructor(name) {
    try {
      this.#storage = window[name];
    } catch {
      this.#storage = null; // blocked by the browser: the page works without storage
    }
  }

  get(name, otherwise) {
    try {
      return JSON.parse(this.#storage.getItem(name)) ?? otherwise;
    } catch {
      return otherwise;
    }
  }

  /** Store a value; return whether there was room for it. */
  set(name, value) {
    try {
      this.#storage.setItem(name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }
}

export const kept = new Store("sessionStorage");

/** Plain strings, which theme.js reads before the modules run. */
export const chosen = {
  get(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(name, value);
    } catch {
      // Storage is blocked or full.
    }
  },
};
