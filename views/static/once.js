// Of two clicks in a row a browser shows the second answer, and by then the first has ended the login: only one counts.
let last = Number.NEGATIVE_INFINITY
addEventListener('submit', (event) => {
  if (event.timeStamp - last < 3000) event.preventDefault()
  else last = event.timeStamp
})
// Who comes back to this page may send it again at once.
addEventListener('pageshow', () => {
  last = Number.NEGATIVE_INFINITY
})
