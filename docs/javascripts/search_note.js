// The theme takes the search out of pages that are opened from a folder, since
// browsers refuse those the file that it needs: say what to do instead.
if (location.protocol === "file:") {
  const note = document.createElement("p");
  note.className = "search-note";
  note.textContent =
    "To search: python3 -m http.server -d site, then http://localhost:8000";
  document.querySelector(".md-content__inner")?.prepend(note);
}
