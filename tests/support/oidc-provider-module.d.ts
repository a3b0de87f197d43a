/** The part of oidc-provider that tests use; the package has no types of its own. */
declare module 'oidc-provider' {
  export type TokenContext = {
    oidc: { client: { clientId: string }; params: Record<string, string | undefined> }
    body: unknown
  }

  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>)
    callback(): import('node:http').RequestListener
    registerGrantType(name: string, handler: (ctx: TokenContext) => Promise<void>, parameters: string[]): void
    AccessToken: new (
      properties: Record<string, unknown>,
    ) => { save(): Promise<string>; expiration: number; tokenType: string }
    ResourceServer: new (
      identifier: string,
      data: Record<string, unknown>,
    ) => object
  }

  export const errors: { InvalidGrant: new (detail: string) => Error }
}
