/**
 * A browser without scripts: follows redirects from `start`, with cookies of the first origin, until one leads to `target`.
 * Returns the address that it was sent to.
 */
export async function walk(start: string, target: string): Promise<URL> {
  const cookies = new Map<string, string>()
  const { origin } = new URL(start)
  let url = new URL(start)
  for (let hop = 0; hop < 20; hop++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: url.origin === origin && cookie !== '' ? { cookie } : {},
    })
    for (const line of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';', 1)[0]!.split('=')
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    if (location === null) throw new Error(`${url} answered ${answer.status}: ${(await answer.text()).slice(0, 300)}`)
    url = new URL(location, url)
    if (url.href.startsWith(target)) return url
  }
  throw new Error(`more than 20 redirects from ${start}`)
}
