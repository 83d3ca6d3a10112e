import type { Page } from 'playwright-core'
import { PASSWORD } from './program.ts'

export { CHROMIUM, INSTALL_CHROMIUM, startBrowser } from '../../chromium.ts'

/** Walks the login pages as a person does: chooses the password list if asked, types, submits. */
export async function logInAs(page: Page, name: string): Promise<void> {
  const choice = page.locator('a[href*="/auth/local"], button[formaction*="/auth/local"]').first()
  const field = page.locator('input[name="login"]')
  await choice.or(field).first().waitFor()
  if (await choice.isVisible()) await choice.click()
  await field.fill(`${name}@example.com`)
  await page.locator('input[name="password"]').fill(PASSWORD)
  await page.locator('button[type="submit"], input[type="submit"]').first().click()
}
