package bench

import "slices"

// A Scenario is what clients do in a run.
type Scenario struct {
	Name string
	// About says in a few words what the clients do.
	About string
	// Paced says what a rate is the number of, in a second.
	Paced string

	roles   []role
	stamped bool    // bodies are stamped; each job must arrive once
	delayed bool    // puts have a delay
	many    bool    // tubes: as many as asked for
	rate    float64 // where none is asked for; 0: none
}

// A role is what some of the clients of a scenario do, again and again.
type role struct {
	kind     roleKind
	steps    []step
	pipeline bool // sends several commands at once, if asked to
}

type roleKind uint8

const (
	alone    roleKind = iota // all clients are the same
	producer                 // puts
	worker                   // waits for jobs until there are no more
)

// A step is a batch of commands that a client sends at once.
type step uint8

const (
	stepPut     step = iota
	stepUsePut       // use of the next tube of the client's, and put
	stepReserve      // with timeout 0
	stepWait         // reserve
	stepDelete       // what the step before has reserved
	stepDial         // a new connection
	stepUse
	stepWatch
	stepIgnore
	stepList
	stepQuit // until the server has closed the connection
)

// Scenarios returns all there are.
func Scenarios() []Scenario {
	return []Scenario{
		{
			Name: "put", About: "each connection puts jobs", Paced: "puts",
			roles: []role{{steps: []step{stepPut}, pipeline: true}},
		},
		{
			Name: "work", About: "each connection puts, reserves and deletes jobs", Paced: "commands",
			roles: []role{{steps: []step{stepPut, stepReserve, stepDelete}, pipeline: true}},
		},
		{
			Name: "fanout", About: "workers wait in a reserve; producers put at a rate", Paced: "puts",
			roles: []role{
				{kind: worker, steps: []step{stepWait, stepDelete}},
				{kind: producer, steps: []step{stepPut}, pipeline: true},
			},
			stamped: true, rate: 1000,
		},
		{
			Name: "delayed", About: "the same with delays: how late does a job fire?", Paced: "puts",
			roles: []role{
				{kind: worker, steps: []step{stepWait, stepDelete}},
				{kind: producer, steps: []step{stepPut}, pipeline: true},
			},
			stamped: true, delayed: true, rate: 1000,
		},
		{
			Name: "tubes", About: "as work, over many tubes", Paced: "commands",
			roles: []role{{steps: []step{stepUsePut, stepReserve, stepDelete}, pipeline: true}},
			many:  true,
		},
		{
			Name: "reconnect", About: "a new connection for each job that is put, and for each that is taken", Paced: "connections",
			roles: []role{{steps: []step{
				stepDial, stepUse, stepWatch, stepIgnore, stepList, stepPut, stepQuit,
				stepDial, stepUse, stepWatch, stepIgnore, stepList, stepReserve, stepDelete, stepQuit,
			}}},
		},
	}
}

func findScenario(name string) (Scenario, bool) {
	all := Scenarios()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, false
	}
	return all[i], true
}

func scenarioNames() []string {
	var names []string
	for _, s := range Scenarios() {
		names = append(names, s.Name)
	}
	return names
}

// paced reports whether a batch of that step takes a place in the schedule. All
// steps do, except: in a conversation of its own connection, only the connection;
// of workers, none.
func (s *Scenario) paced(c *client) bool {
	switch {
	case c.role.kind == worker:
		return false
	case c.role.steps[0] == stepDial:
		return c.role.steps[c.step] == stepDial
	}
	return true
}
