// Asks the browser for a security key (W3C Web Authentication, level 3) and brings its answer to the login service.
// Texts and addresses stand in the page.
const place = document.getElementById('webauthn')
const { mode, begin, finish, onwards, further } = place.dataset
const alert = document.getElementById('login-error')
const buttons = [...place.querySelectorAll('button')]

const bytes = (text) => {
  const letters = text.replace(/-/g, '+').replace(/_/g, '/')
  return Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0))
}
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '')

const decoded = (options) => {
  const keys = (list) => (list ?? []).map((key) => ({ ...key, id: bytes(key.id) }))
  const both = { ...options, challenge: bytes(options.challenge) }
  return mode === 'login'
    ? { ...both, allowCredentials: keys(options.allowCredentials) }
    : {
        ...both,
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: keys(options.excludeCredentials),
      }
}

// As `PublicKeyCredential.toJSON` does it, which older browsers lack.
const encoded = ({ id, rawId, type, authenticatorAttachment, response }) => {
  const fields = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']
  const parts = fields.filter((name) => response[name]).map((name) => [name, text(response[name])])
  return {
    id,
    rawId: text(rawId),
    type,
    authenticatorAttachment: authenticatorAttachment ?? undefined,
    clientExtensionResults: {},
    response: { ...Object.fromEntries(parts), transports: response.getTransports?.() },
  }
}

const send = async (address, body) => {
  const answer = await fetch(address, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  const told = await answer.json()
  if (!answer.ok) throw Object.assign(new Error(told.error), { told: answer.status !== 500 })
  return told
}

const ceremony = async () => {
  const { publicKey } = await send(begin, {})
  const options = { publicKey: decoded(publicKey) }
  const key = await (mode === 'login' ? navigator.credentials.get(options) : navigator.credentials.create(options))
  return send(finish, encoded(key))
}

const explain = (error) => {
  if (error.told) return error.message
  if (error.name === 'InvalidStateError') return place.dataset.known
  return error instanceof DOMException ? place.dataset.cancelled : place.dataset.unreachable
}

const use = async (then) => {
  for (const button of buttons) button.disabled = true
  alert.hidden = true
  try {
    const { redirect } = await ceremony()
    location.assign(then ?? redirect ?? onwards)
  } catch (error) {
    alert.textContent = explain(error)
    alert.hidden = false
    for (const button of buttons) button.disabled = false
    buttons[0].focus()
  }
}

if (window.PublicKeyCredential) {
  document.getElementById('submit-login').addEventListener('click', () => use())
  document.getElementById('submit-further')?.addEventListener('click', () => use(further))
} else {
  alert.textContent = place.dataset.unsupported
  alert.hidden = false
  for (const button of buttons) button.disabled = true
}
