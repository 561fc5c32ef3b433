// What a reload leaves: kept in this tab alone, or (language, colours) in this browser.

class Store {
  #storage;

  constructor(name) {
    try {
      this.#storage = window[name];
    } catch {
      this.#storage = null; // forbidden by the browser: the page works without a memory
    }
  }

  get(name, otherwise) {
    try {
      return JSON.parse(this.#storage.getItem(name)) ?? otherwise;
    } catch {
      return otherwise;
    }
  }

  /** Whether there was room for it. */
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

/** Plain words, as theme.js reads them before anything else runs. */
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
      // Not kept, then.
    }
  },
};
