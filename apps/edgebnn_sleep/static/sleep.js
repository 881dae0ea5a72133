"use strict";
/* Tonight's chart and log are drawn by the server; they are asked for again when an epoch is over or an alarm changes. */
(() => {
  const place = document.getElementById("tonight");
  const title = document.title;
  let shown = null, asking = false;

  const refresh = async version => {
    asking = true;
    try {
      const answer = await fetch("/tonight", { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.ok) { place.innerHTML = await answer.text(); shown = version; }
    } catch (error) {
      console.info("the chart is not refreshed:", error.message); // live.js says that the connection is lost
    } finally {
      asking = false;
    }
  };

  document.addEventListener("live", event => {
    const { epoch, journal, ringing, time } = event.detail;
    const version = `${epoch} ${journal}`;
    if (shown === null) shown = version;
    else if (version !== shown && !asking) refresh(version);
    document.title = ringing ? `⏰ ${time}` : title;
  });
})();
