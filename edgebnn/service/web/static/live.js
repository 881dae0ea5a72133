"use strict";
/* Live values of a page, asked from /live about once a second while the page can be seen.

  <span data-live="fps">9.8</span>             the value as text (null is a dash)
  <meter data-live-value="load" ...>           the value of a meter, progress or input
  <p data-live-show="camera_lost" hidden>      shown while the value is true
  <span data-live-state="state">               data-state="<value>", for the style
  <img data-stream="/stream.mjpg">             a stream, started again after the service restarts

Other scripts listen: document.addEventListener("live", event => event.detail.fps). */
(() => {
  const period = 1000, longest = 8000;
  const lost = document.getElementById("lost");
  let instance = null, wait = period, timer = null;

  const each = (attribute, change) => {
    for (const element of document.querySelectorAll(`[${attribute}]`)) change(element, element.getAttribute(attribute));
  };

  const show = values => {
    const has = name => Object.hasOwn(values, name);
    each("data-live", (element, name) => {
      if (!has(name)) return;
      const text = values[name] === null ? "–" : String(values[name]);
      if (element.textContent !== text) element.textContent = text;
    });
    each("data-live-value", (element, name) => { if (has(name) && values[name] !== null) element.value = values[name]; });
    each("data-live-show", (element, name) => { if (has(name)) element.hidden = !values[name]; });
    each("data-live-state", (element, name) => { if (has(name)) element.dataset.state = String(values[name]); });
    document.dispatchEvent(new CustomEvent("live", { detail: values }));
  };

  const startStreams = () => each("data-stream", (image, path) => { image.src = `${path}?${Date.now()}`; });

  const ask = async () => {
    timer = null;
    try {
      const answer = await fetch("/live", {
        headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(5000),
      });
      if (answer.status === 401) { location.reload(); return; }
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const { instance: now, values } = await answer.json();
      if (instance !== now || !lost.hidden) { if (instance !== null) startStreams(); instance = now; }
      lost.hidden = true;
      wait = period;
      show(values);
    } catch (error) {
      lost.hidden = false;
      wait = Math.min(2 * wait, longest);
    }
    if (!document.hidden) timer = setTimeout(ask, wait);
  };

  const wake = () => { if (!document.hidden && timer === null) { wait = period; ask(); } };

  const picker = document.getElementById("theme");
  picker.value = document.documentElement.dataset.theme || "";
  picker.addEventListener("change", () => {
    if (picker.value) document.documentElement.dataset.theme = picker.value;
    else delete document.documentElement.dataset.theme;
    try { localStorage.setItem("theme", picker.value); } catch (error) { console.info("colours are not kept:", error.message); }
  });

  startStreams();
  if (document.querySelector("[data-live], [data-live-value], [data-live-show], [data-live-state], [data-stream]")) {
    document.addEventListener("visibilitychange", wake);
    window.addEventListener("online", wake);
    ask();
  }
})();
