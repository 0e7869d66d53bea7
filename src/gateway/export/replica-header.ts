/**
 * Header of a page that a replica has answered because its leader is out of reach: id of its last commit, a space, and that
 * one's log time. Between an agent's router and its replicas; it does not travel.
 */
export const REPLICA_HEADER = 'atoll-replica';
