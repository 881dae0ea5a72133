"use strict";
// Runs before the page is drawn: the colours that were chosen in this browser.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch (error) {
  console.info("no storage, colours follow the system:", error.message);
}
