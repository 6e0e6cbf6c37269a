import { connect } from "/_pylon/client.js";

const db = await connect();
const [state, form, progress, quote, board, orders] =
  ["state", "form", "progress", "quote", "board", "orders"].map((id) => document.getElementById(id));
const say = (text) => { state.textContent = text; };

const me = await db.auth.me();
if (me === null) {
  state.innerHTML = 'Nobody is signed in. <a href="/auth/?next=/">Sign in</a>';
} else {
  form.hidden = false;
  const isStaff = me.roles.includes("staff");
  db.onStatus((status) => say(status.state === "live" ? `signed in as ${me.email}` : status.state));

  // A query function, followed: it runs again when an order changes.
  db.live("board").subscribe((counts) => {
    board.textContent = Object.entries(counts ?? {}).map(([name, count]) => `${count} ${name}`).join(" · ");
  });

  db.query("Order", { order: ["-orderedAt"] }).subscribe((rows) => {
    orders.replaceChildren(...rows.map((row) => entry(row, isStaff)));
  });

  // Parts of an answer, as they come; a new question gives up the one before.
  let asking = new AbortController();
  async function ask() {
    asking.abort();
    const { signal } = asking = new AbortController();
    quote.textContent = "";
    try {
      for await (const line of db.stream("quote", { copies: form.elements.copies.valueAsNumber }, { signal })) quote.textContent += `${line}\n`;
    } catch (error) {
      if (!signal.aborted) quote.textContent = error.message;
    }
  }
  form.elements.copies.addEventListener("change", ask);
  await ask();

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { title, copies, picture } = form.elements;
    progress.hidden = false;
    try {
      const file = await db.upload(picture.files[0], { onProgress: ({ loaded, total }) => { progress.value = loaded / total; } });
      await db.call("order", { title: title.value, picture: file.id, copies: copies.valueAsNumber });
      form.reset();
      await ask();
    } catch (error) {
      say(error.message);
    } finally {
      progress.hidden = true;
    }
  });
}

function entry(row, isStaff) {
  const item = document.createElement("li");
  const image = Object.assign(document.createElement("img"), { src: `${row.picture.url}?w=128`, alt: "" });
  // A runtime without Pillow has the whole picture only.
  image.addEventListener("error", () => { image.src = row.picture.url; }, { once: true });
  const words = document.createElement("div");
  const note = document.createElement("small");
  note.textContent = `${row.copies} × · ${row.state}${row.note ? ` · ${row.note}` : ""}`;
  words.append(row.title, document.createElement("br"), note);
  item.append(image, words);
  if (isStaff && row.state === "paid") {
    const button = Object.assign(document.createElement("button"), { textContent: "Packed" });
    button.addEventListener("click", () => db.call("packed", { orderId: row.id }).catch((error) => say(error.message)));
    item.append(button);
  }
  return item;
}
