// Starts the page, and keeps its address, its theme and its keys.

const readAddress = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

/** The filters as an address, so that it can be handed on. A browser that refuses does without. */
const writeAddress = () => {
  const set = Object.entries(filter).filter(([, value]) => value !== "");
  const address = set.map(([key, value]) => key + "=" + encodeURIComponent(value)).join("&");
  try {
    history.replaceState(null, "", "#" + address);
  } catch (refused) {
    location.hash = address;
  }
};

const followAddress = () => {
  const address = readAddress();
  const name = address.get("test");
  if (name === null) {
    if (byId("test").open) {
      byId("test").close();
    }
    const found = Object.keys(filter).filter((key) => address.has(key));
    if (found.length > 0) {
      choose(Object.fromEntries(found.map((key) => [key, address.get(key)])));
    }
    return;
  }
  const row = findTest(name);
  if (row === null) {
    byId("status").textContent = "The test of this address is not on this page.";
    byId("tests").focus();
  } else {
    openTest(row);
  }
};

const setUpDialog = () => {
  const dialog = byId("test");
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    // The dialog itself is hit only beside its content, on the backdrop.
    const box = dialog.getBoundingClientRect();
    if (event.target === dialog && event.clientX < box.left) {
      dialog.close();
    }
  });
  dialog.addEventListener("close", () => {
    dropPlots();
    if (readAddress().has("test")) {
      writeAddress();
    }
  });
};

const setUpKeys = () => {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing && !byId("test").open && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      byId("text").focus();
      byId("text").select();
    }
  });
  byId("text").addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      choose({ text: "" });
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      focusRow(0);
    }
  });
};

const THEMES = ["auto", "light", "dark"];

const setTheme = (theme) => {
  if (theme === "auto") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
  byId("theme").textContent = "Theme: " + theme;
  recolourPlots();
  if (timeline !== null) {
    timeline.redraw(false, true);
  }
};

const setUpTheme = () => {
  let theme = "auto";
  try {
    theme = THEMES.find((one) => one === localStorage.getItem("docker-test-theme")) || "auto";
  } catch (refused) {
    // A page from a file may have no storage: then the theme lasts as long as the page.
  }
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    setTheme(theme);
    try {
      localStorage.setItem("docker-test-theme", theme);
    } catch (refused) {
      // As above.
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(theme));
  setTheme(theme);
};

setUpFilters();
refresh();
addTimeline();
addExtremes();
addViolations();
addLeaks();
setUpDialog();
setUpKeys();
setUpTheme();
addEventListener("hashchange", followAddress);
addEventListener("resize", () => {
  fitTimeline();
  fitPlots();
});
followAddress();
