// Sends the only form of the page at once. The prototype's method, as a field may be named "submit".
HTMLFormElement.prototype.submit.call(document.forms[0])
