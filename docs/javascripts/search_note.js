// Browsers refuse a page from a folder the file that its search needs: say what to do.
if (location.protocol === "file:") {
  const note = "Search needs a server: python3 -m http.server -d site";
  const input = document.querySelector("[data-md-component=search-query]");
  const result = document.querySelector(".md-search-result__meta");
  if (input) input.placeholder = note;
  if (result) result.textContent = `${note}, then http://localhost:8000`;
}
