// The list of jobs. It may have a million rows, of which those near what is seen
// are in the page: pages of a hundred, one behind the other without a gap, each
// beginning behind the id where the one before has ended. Above and below is empty
// room, as high as what is not there. Who scrolls into it gets the jobs that are
// about there: ids go up with time, so where a row is says which ids it may have.
"use strict";
(() => {
  const box = document.querySelector(".vlist");
  if (!box) return;
  const table = box.querySelector("table"), more = box.querySelector(".more"), none = document.querySelector("#no-jobs");
  const rowHeight = 35, perPage = 100, mostPages = 6, mostHeight = 8e6;
  const known = box.dataset.total !== "";
  const total = Number(box.dataset.total), nextID = Number(box.dataset.nextId);
  const chosen = new Map(); // ids that are ticked, also in pages that are not there
  let pages = [];           // {body, after, next, complete, rows}
  let first = 0;            // index of the first row of the first page, about
  let busy = false, again = false, failed = 0;

  const gap = (at) => {
    const body = document.createElement("tbody"), cell = body.insertRow().insertCell();
    body.className = "gap";
    body.setAttribute("aria-hidden", "true");
    at === "top" ? table.tHead.after(body) : table.append(body);
    return cell;
  };
  const above = gap("top");
  const begin = table.querySelector("tbody.page");
  const below = gap("end");

  const pageOf = (body, after) => ({
    body, after, next: Number(body.dataset.next), complete: body.dataset.complete === "true", rows: body.rows.length,
    looked: Number(body.dataset.looked),
  });
  const there = () => pages.reduce((n, p) => n + p.rows, 0);
  const last = () => pages[pages.length - 1];

  // Heights are those of rows, made smaller where a browser could not show them.
  const count = () => {
    const n = first + there();
    if (last() && last().complete) return n;
    return known ? Math.max(total, n + 1) : n + perPage / 4;
  };
  const scale = () => Math.min(1, mostHeight / Math.max(1, count() * rowHeight));
  function layout() {
    const s = scale();
    above.style.height = first * rowHeight * s + "px";
    const rest = count() - first - there();
    below.style.height = (known || !rest ? Math.max(0, rest) * rowHeight * s : 0) + "px";
    const l = last();
    more.hidden = !(l && !l.complete && (busy || !l.rows));
    more.textContent = busy ? (known ? "…" : "Searching, up to job " + l.next.toLocaleString("en-US") + "…") : "";
    if (none) none.hidden = there() > 0 || first > 0 || !(l && l.complete);
    box.hidden = none ? !none.hidden : false;
    for (const b of box.querySelectorAll("[name=id]")) if (chosen.has(b.value)) b.checked = true;
    document.dispatchEvent(new CustomEvent("spoked:rows"));
  }

  async function load(after) {
    const q = new URL(box.dataset.rows, location.href);
    q.searchParams.set("after", Math.max(0, Math.floor(after)));
    const r = await fetch(q, { headers: { Accept: "text/html", "HX-Request": "true" } });
    if (!r.ok) throw new Error(r.status);
    const t = document.createElement("template");
    t.innerHTML = "<table>" + (await r.text()) + "</table>"; // rendered and escaped by the server
    return pageOf(t.content.querySelector("tbody"), after);
  }

  // What is seen, in rows from the first page's first on.
  function view() {
    const top = box.scrollTop - above.offsetHeight;
    return [top / rowHeight, (top + box.clientHeight) / rowHeight];
  }

  async function update() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      for (let turns = 0; turns < 20; turns++) {
        again = false;
        const [from, to] = view();
        if (from < -box.clientHeight / rowHeight || (to < 0 && first > 0) || (from > there() + 2 * perPage && !last().complete && known)) {
          await jump();
        } else if (first > 0 && from < perPage / 4) {
          await up();
        } else if (to > there() - perPage / 2 && !last().complete) {
          layout();
          const p = await load(last().next);
          below.closest("tbody").before(p.body);
          pages.push(p);
          while (pages.length > mostPages) {
            const gone = pages.shift();
            first += gone.rows;
            const was = above.offsetHeight, high = gone.body.offsetHeight;
            gone.body.remove();
            layout();
            box.scrollTop += above.offsetHeight - was - high;
          }
        } else if (!again) break;
        failed = 0;
        layout();
      }
      // A search that finds little goes on for as long as somebody looks at it.
      if (!last().complete && view()[1] > there() - perPage / 2) setTimeout(update, 100);
    } catch {
      failed++;
      setTimeout(update, Math.min(5000, 500 * failed));
    }
    busy = false;
    layout();
  }

  // jump begins anew with the jobs that are about where the list has been scrolled to.
  async function jump() {
    const share = box.scrollTop / Math.max(1, box.scrollHeight - box.clientHeight);
    await restart(share <= 0 ? 0 : Math.floor(share * Math.max(0, count() - perPage / 2)));
  }
  // up begins anew a page before the first one.
  async function up() {
    await restart(Math.max(0, first - 2 * perPage));
  }
  async function restart(index) {
    const keep = box.scrollTop, wasFirst = first, lowest = pages[0].after;
    let after = 0;
    if (index > 0) {
      const lo = index < wasFirst ? 0 : last().next, loAt = index < wasFirst ? 0 : wasFirst + there();
      const hi = index < wasFirst ? lowest : nextID, hiAt = index < wasFirst ? wasFirst : count();
      after = lo + (hi - lo) * (index - loAt) / Math.max(1, hiAt - loAt);
    }
    const p = await load(after);
    const now = box.scrollTop, moved = Math.abs(now - keep) > 1; // by who looks, meanwhile
    for (const old of pages) old.body.remove();
    above.closest("tbody").after(p.body);
    pages = [p];
    first = index;
    layout();
    // What is seen stays where it is: if it was a page above, on its row.
    const row = (keep / scale()) / rowHeight;
    if (moved) again = true;
    box.scrollTop = moved ? now : above.offsetHeight + Math.max(0, Math.min(there() * rowHeight - box.clientHeight, (row - first) * rowHeight));
  }

  window.spokedRows = { picked: () => chosen.size };
  box.addEventListener("change", (e) => {
    if (e.target.name !== "id") return;
    if (e.target.checked) chosen.set(e.target.value, true); else chosen.delete(e.target.value);
  });
  // Those that are ticked in pages that are not there go along, too.
  document.addEventListener("htmx:config:request", (e) => {
    const { ctx } = e.detail;
    if (!ctx.sourceElement.closest || !ctx.sourceElement.closest("#browse") || !ctx.request.body) return;
    const body = ctx.request.body;
    body.delete("id");
    if (!body.get("all")) body.append("id", [...chosen.keys()].join(","));
  });

  let waiting = 0;
  box.addEventListener("scroll", () => {
    clearTimeout(waiting);
    waiting = setTimeout(update, 60);
  }, { passive: true });
  const asked = Number(new URLSearchParams(location.search).get("after")) || 0;
  pages = [pageOf(begin, asked)];
  for (const b of box.querySelectorAll("[name=id]:checked")) chosen.set(b.value, true);
  layout();
  update();
})();
