"""A headless browser that knows what it asked the network for and what its console said."""

import json

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service


class Browser:
    """One browser, at a page from a file."""

    def __init__(self):
        options = Options()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000", "--hide-scrollbars"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("chromedriver"), options=options)
        self.run = self.driver.execute_script
        self.console = []
        self.requests = []

    def open(self, path, address=""):
        self.driver.get("about:blank")
        self.driver.get(f"file://{path}{address}")

    def width(self, pixels, height=900):
        self.cdp("Emulation.setDeviceMetricsOverride", width=pixels, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        self.cdp("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": name}])

    def cdp(self, method, **parameters):
        return self.driver.execute_cdp_cmd(method, parameters)

    def keys(self, *names):
        """Types on whatever has the focus."""
        for name in names:
            self.driver.switch_to.active_element.send_keys(name)

    def listen(self):
        """Collects what was said and asked for since the last time."""
        self.console += [entry["message"] for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])

    def close(self):
        self.driver.quit()


# Every shown text whose colours are too near to each other: its text, its colours and their contrast.
CONTRAST = """
const parse = (text) => {
  const found = text.match(/[\\d.]+/g).map(Number);
  return text.startsWith("color(srgb") ? [found[0] * 255, found[1] * 255, found[2] * 255, found[3] ?? 1] : [found[0], found[1], found[2], found[3] ?? 1];
};
const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
const light = (colour) => {
  const [r, g, b] = colour.map((value) => { const c = value / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  const layers = [];
  for (let at = element; at !== null; at = at.parentElement) {
    layers.push(parse(getComputedStyle(at).backgroundColor));
    if (layers[layers.length - 1][3] === 1) break;
  }
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
};
const wrong = [];
let seen = 0;
const walker = document.createTreeWalker(arguments[0] || document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.textContent.trim();
  const element = walker.currentNode.parentElement;
  if (text === "" || !element.checkVisibility() || element.closest("script, style, option, .skip-link, :disabled")) continue;
  const below = behind(element);
  const own = over(parse(getComputedStyle(element).color), below);
  const [a, b] = [light(own), light(below)].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  seen += 1;
  if (contrast < 4.5) wrong.push([text.slice(0, 40), own.join(), below.join(), contrast.toFixed(2)]);
}
return [seen, wrong.slice(0, 10)];
"""
