/** What each page shows. */

export interface ChoosePage {
  connectors: { id: string; name: string; type: string; url: string }[]
  clientName?: string
}

export interface PasswordPage {
  /** Where the form is posted: `login` and `password`. */
  action: string
  /** Label of the user name. */
  prompt: string
  username?: string
  /** Whether the box `remember_me` is ticked; absent: there is none. */
  remember?: boolean
  /** Wrong credentials were sent. */
  invalid?: boolean
  /** What else went wrong, instead of the sentence for `invalid`. */
  message?: string
  /** Leads back to the choice of connectors. */
  backUrl?: string
  connectorName?: string
  clientName?: string
}

export interface ApprovalPage {
  /** Where both forms are posted: `fields` and `approval`, which is `approve` or `rejected`. */
  action: string
  fields: Record<string, string>
  clientName: string
  /** Where the client comes from that nobody here set up. */
  host?: string
  userName: string
  /** As `describeScopes` gives them. */
  scopes: { name: string; text: string }[]
  /** A device waits for the answer, not this browser. */
  forDevice?: boolean
}

export interface DevicePage {
  /** Where the form is posted: `user_code`. */
  action: string
  userCode?: string
  /** Why the code that was sent is not taken. */
  message?: string
}

export interface FailurePage {
  /** HTTP status of the answer. */
  status: number
  /** Heading; absent: a general one. */
  title?: string
  /** One sentence for the person. It is the text of the page's only `<p>`, which Argo CD reads. */
  message: string
  /** What to do now; absent: a general piece of advice. */
  nextStep?: string
  requestId?: string
  /** The main way on, such as back to the client. */
  button?: { href: string; text: string }
  /** A further way on, such as the upstream's own help. */
  link?: { href: string; text: string }
}

/** Something that a person can end: an application with tokens, or another browser. */
export interface HeldEntry {
  name: string
  place: string
  details: string
  /** Value of the field `end` that ends it. */
  end: string
}

export interface SignedInPage {
  /** Where all forms are posted: `end`. */
  action: string
  userName: string
  connectorName: string
  since: string
  /** Applications of this session. */
  clients: string[]
  groups: string[]
  tokens: HeldEntry[]
  sessions: HeldEntry[]
  endAll: string
  logoutUrl: string
}

export interface LogoutPage {
  /** Where the form is posted, with `fields`. */
  action: string
  fields: Record<string, string>
  userName: string
  clientName?: string
}

export interface LoggedOutPage {
  wasLoggedIn: boolean
  /** Pages of clients that have to be loaded. */
  frames: string[]
  /** Where the browser goes then: back to the client, or to the upstream to log out there too. Absent: nowhere. */
  goOn?: { href: string; clientName?: string; connectorName?: string }
}

export interface PostPage {
  action: string
  fields: Record<string, string>
  title: string
}
