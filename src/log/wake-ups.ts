/** Channels on which nodes tell each other that there is something to read; losing a word only delays. */

/** migrations/0003_log_functions.sql notifies it, with the newest event's seq. */
export const LOG_CHANNEL = 'ism_log'
/** migrations/0001_social_tables.sql notifies it, with the person's id. */
export const USER_CHANNEL = 'ism_user'
/** src/streams/ticket-repository.ts notifies it: a ticket's hash and the number of its newest stream. */
export const TICKET_CHANNEL = 'ism_ticket'
