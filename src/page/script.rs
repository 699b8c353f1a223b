//! The status page's script: the page asks for itself again and takes over what has changed; searching and
//! ordering go the same way. Without it the form and the links do the same by loading the page.

/// As it stands in the page. Where the page stands, what is written in the form, what has the focus and what is
/// selected stay as they are.
pub const SCRIPT: &str = r##"
"use strict";
(() => {
const by = (id) => document.getElementById(id);
const form = document.querySelector("form"), search = by("q"), sort = by("sort");
const standard = sort.options[0].value;
let timer, typing, turn = 0, fresh = Date.now();

function selected(part) {
  const chosen = getSelection();
  return !chosen.isCollapsed && chosen.rangeCount > 0 && chosen.getRangeAt(0).intersectsNode(part);
}

function take(next, asked) {
  if (next.documentElement.dataset.version !== document.documentElement.dataset.version) {
    location.reload();
    return;
  }
  const before = { headline: by("headline").textContent, found: by("found")?.textContent };
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = next.getElementById(part.id);
    if (!other || other.innerHTML === part.innerHTML || (!asked && selected(part))) continue;
    const held = part.contains(document.activeElement) ? document.activeElement : null;
    const aside = scrollY;
    part.replaceChildren(...document.importNode(other, true).childNodes);
    if (other.dataset.refresh) part.dataset.refresh = other.dataset.refresh;
    if (held) (by(held.id) ?? part).focus({ preventScroll: true });
    if (scrollY !== aside) scrollTo(scrollX, aside);
  }
  document.title = next.title;
  document.querySelector("link[rel=icon]").href = next.querySelector("link[rel=icon]").getAttribute("href");
  by("json").href = next.getElementById("json").getAttribute("href");
  const headline = by("headline").textContent, found = by("found")?.textContent;
  const news = headline !== before.headline ? headline : asked && found !== before.found ? found : "";
  if (news) by("said").textContent = news;
}

async function load(asked) {
  const mine = ++turn;
  clearTimeout(timer);
  try {
    const answer = await fetch(location.href, {
      headers: { accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10000),
    });
    if (!answer.ok) throw new Error("it answered " + answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== turn) return;
    if (!next.getElementById("headline")) throw new Error("something else answered");
    take(next, asked);
    fresh = Date.now();
    by("lost").textContent = "";
  } catch (error) {
    if (mine !== turn) return;
    const why = error instanceof TypeError ? "fleetpush does not answer" : error.message;
    const text = "Not refreshed since " + new Date(fresh).toISOString().slice(11, 19) + " UTC: " + why +
      ". What is shown is of that time; it is tried again.";
    if (by("lost").textContent !== text) by("lost").textContent = text;
  }
  plan();
}

function plan() {
  clearTimeout(timer);
  timer = setTimeout(() => document.hidden ? plan() : load(false), Number(by("now").dataset.refresh) * 1000);
}

function read() {
  const asked = new URLSearchParams(location.search);
  search.value = asked.get("q") ?? "";
  sort.value = asked.get("sort") ?? standard;
}

function go(address, replace) {
  if (address !== location.href) history[replace ? "replaceState" : "pushState"](null, "", address);
  load(true);
}

function written(replace) {
  clearTimeout(typing);
  const wish = new URLSearchParams();
  if (search.value.trim()) wish.set("q", search.value.trim());
  if (sort.value !== standard) wish.set("sort", sort.value);
  const address = new URL(location.href);
  address.search = wish.toString();
  go(address.href, replace);
}

form.addEventListener("submit", (event) => { event.preventDefault(); written(false); });
sort.addEventListener("change", () => written(false));
search.addEventListener("input", (event) => {
  clearTimeout(typing);
  if (!event.isComposing) typing = setTimeout(() => written(true), 200);
});
search.addEventListener("compositionend", () => { typing = setTimeout(() => written(true), 200); });
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-go]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.href, false);
  read();
  if (link.closest("nav")) by("fleets").scrollIntoView();
});
addEventListener("popstate", () => { read(); load(true); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) load(false); });
plan();
})();
"##;
