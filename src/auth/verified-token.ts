/** What a bearer token says once its signature and claims were checked. */

export type VerifiedToken = {
  /** The person: `sub`, or the UUID that `map_subjects` gives it. */
  userId: string
  /** `exp`, in milliseconds since the epoch. */
  expiresAt: number
  /** `iat`, in seconds since the epoch; 0 where the token has none. */
  issuedAt: number
  /** What the person is to be called, where it says so. */
  name: string | undefined
  /** Those that are kept: `claims` of src/auth/token-verifier.ts. */
  claims: Record<string, unknown>
}

export interface TokenVerifier {
  /**
   * @throws AppError UNAUTHENTICATED for a token that does not verify, without saying which check failed;
   * SERVICE_UNAVAILABLE where its key is not known and the issuer cannot be reached
   */
  verify(token: string): Promise<VerifiedToken>
}
