// The week of a rule's form: each day's hours are drawn as they are typed, and Monday's can be taken for the others.

const week = document.getElementById("week");
const BLOCK = /^(\d{1,2})(?:[:.](\d{2}))?\s*[-–—]\s*(\d{1,2})(?:[:.](\d{2}))?$/;

const blocks = (text) =>
  text
    .split(",")
    .map((part) => BLOCK.exec(part.trim()))
    .filter(Boolean)
    .map(([, hour, minute, until, past]) => [hour * 60 + Number(minute ?? 0), until * 60 + Number(past ?? 0)])
    .filter(([begins, ends]) => begins < ends && ends <= 1440);

function draw(field) {
  const strip = field.closest(".week-day").querySelector(".day-strip");
  for (const old of strip.querySelectorAll(".day-open")) old.remove();
  for (const [begins, ends] of blocks(field.value)) {
    const open = strip.querySelector(".day-free").cloneNode();
    open.setAttribute("class", "day-open");
    open.setAttribute("x", begins);
    open.setAttribute("width", ends - begins);
    strip.append(open);
  }
}

if (week) {
  const days = [...week.querySelectorAll("input")];
  const same = document.getElementById("week-same");
  same.hidden = false;
  week.addEventListener("input", (event) => draw(event.target));
  same.addEventListener("click", () => {
    for (const day of days.slice(1, 5)) {
      day.value = days[0].value;
      draw(day);
    }
  });
}
