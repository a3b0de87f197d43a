/** A person of the SaaS, as ISM keeps and shows them. */

export type UserRow = {
  id: string
  displayName: string
  streetCredits: number
  profilePicture: string | null
  description: string | null
  friendsCount: number
  role: string
}

/** The columns of a UserRow, of a table or alias `u`: app_user. */
export const USER_COLUMNS = `u.id, u.display_name as "displayName", u.street_credits as "streetCredits",
  u.profile_picture as "profilePicture", u.description, u.friends_count as "friendsCount", u.role`

/** Who makes a request: verified, known and not deleted. */
export type CurrentUser = { id: string; displayName: string }
