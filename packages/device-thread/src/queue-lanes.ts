/** The queue thread that serves a pair. */
export const laneOfPair = (pair: number, lanes: number): number => pair % lanes;
