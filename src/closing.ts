/** What was started, to be closed in the opposite order. */

export type Closing = (() => Promise<unknown>)[]

/** Closes all of it, also where some of it fails. @throws what failed first */
export async function closeAll(closing: Closing): Promise<void> {
  const errors: unknown[] = []
  for (const close of closing.splice(0).reverse()) {
    try {
      await close()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}
