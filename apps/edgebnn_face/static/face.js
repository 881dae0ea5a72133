"use strict";
// The list of events follows /live; a page whose picture was switched on or off elsewhere is loaded again.
(() => {
  const list = document.getElementById("events"), none = document.getElementById("no-events");
  const streamOn = document.getElementById("picture").dataset.streamOn === "true";
  let shown = null;

  const item = event => {
    const line = document.createElement("li"), time = document.createElement("time"), text = document.createElement("span");
    line.className = event.kind;
    time.textContent = event.time;
    text.textContent = event.text;
    line.append(time, text);
    return line;
  };

  document.addEventListener("live", ({ detail }) => {
    if (detail.stream !== streamOn) { location.reload(); return; }
    const now = JSON.stringify(detail.events);
    if (now === shown) return;
    shown = now;
    list.replaceChildren(...detail.events.map(item));
    none.hidden = detail.events.length > 0;
  });
})();
