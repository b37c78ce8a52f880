package queue

// SetPortions has long commands done in portions of other sizes: so many steps
// of each at once, so many of all in a turn, and so many before the next has its
// turn.
func (e *Engine) SetPortions(free, turn, slice int) {
	e.portions = portions{free, turn, slice}
	e.budget = turn
}
