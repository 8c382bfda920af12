// The button beside the password of a PDF. The only script of the reader; the page works without it.
const button = document.getElementById("copy");
if (navigator.clipboard) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById("password").textContent);
    button.textContent = button.dataset.done;
  });
}
