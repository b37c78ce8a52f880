package integration

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fillTubes makes so many tubes. Every other one is watched, all by the client that
// is returned, and the others hold a job.
func fillTubes(b *testing.B, s *server, tubes int) (holder int) {
	b.Helper()
	var text strings.Builder
	for i := range tubes {
		name := string(appendTube(nil, i))
		if i%2 == 0 {
			fmt.Fprintf(&text, "watch %s\r\n", name)
		} else {
			fmt.Fprintf(&text, "use %s\r\nput 1 0 100 16\r\nxxxxxxxxxxxxxxxx\r\n", name)
		}
	}
	text.WriteString("use default\r\n")
	return askServer(b, s, text.String())
}

// BenchmarkManyTubes compares what a command costs a server that has 100,000 tubes
// with what it costs one that has one or two. The clients work in one tube; or each
// in one of its own; or each goes on to another tube after every delete, which
// takes three more commands.
func BenchmarkManyTubes(b *testing.B) {
	path := spokedPath(b)
	tubes := scaled(100_000)
	t := newTable("x-CPU", "CPU-us/cmd-many", "CPU-us/cmd-few")
	few := contender{path: path}.start(b)
	many := contender{path: path}.start(b)
	defer unix.Close(fillTubes(b, few, 2))
	defer unix.Close(fillTubes(b, many, tubes))
	for _, pipeline := range []int{1, 32} {
		for _, name := range []string{"one", "own", "hopping"} {
			b.Run(fmt.Sprintf("%s/pipeline=%d", name, pipeline), func(b *testing.B) {
				var cpu [2][]float64
				for b.Loop() {
					for range max(1, *rounds) {
						for i, s := range []*server{many, few} {
							l := load{Conns: 64, Pipeline: pipeline, Body: 16, Steps: putReserveDelete}
							switch {
							case name == "hopping":
								l.Hop = []int{tubes, 2}[i]
							case name == "own" && i == 0:
								l.Setup = func(client int) string {
									return fmt.Sprintf("use tube-%d\r\nwatch tube-%[1]d\r\nignore default\r\n", client*tubes/64)
								}
							}
							cpu[i] = append(cpu[i], measure(b, s, l).cpu())
						}
					}
				}
				n := len(cpu[0])
				t.row(b, median(n, func(i int) float64 { return cpu[0][i] / cpu[1][i] }),
					median(n, func(i int) float64 { return cpu[0][i] }), median(n, func(i int) float64 { return cpu[1][i] }))
			})
		}
	}
	t.print(b)
}

// BenchmarkManyWatched compares what reserve and delete cost by a client that
// watches 20,000 tubes with a job each, and by one that watches one tube with all
// these jobs.
func BenchmarkManyWatched(b *testing.B) {
	path := spokedPath(b)
	jobs := scaled(20_000) / 32 * 32
	t := newTable("x-CPU", "CPU-us/cmd-many", "CPU-us/cmd-one")
	var refill, watch [2]string
	for i, tubes := range []int{jobs, 1} {
		var puts, watches strings.Builder
		for k := range jobs {
			name := string(appendTube(nil, k%tubes))
			if k < tubes {
				fmt.Fprintf(&watches, "watch %s\r\n", name)
			}
			fmt.Fprintf(&puts, "use %s\r\nput 1 0 100 16\r\nxxxxxxxxxxxxxxxx\r\n", name)
		}
		refill[i], watch[i] = puts.String(), watches.String()+"ignore default\r\n"
	}
	for _, pipeline := range []int{1, 32} {
		b.Run(fmt.Sprintf("pipeline=%d", pipeline), func(b *testing.B) {
			var servers [2]*server
			var takers [2]*generator
			var fillers [2]int
			for i := range servers {
				servers[i] = contender{path: path}.start(b)
				fillers[i] = askServer(b, servers[i], refill[i])
				defer unix.Close(fillers[i])
				takers[i] = connectAll(b, servers[i], load{
					Conns: 1, Pipeline: pipeline, Steps: reserveDelete, Setup: func(int) string { return watch[i] },
				})
				defer takers[i].Close()
			}
			var cpu [2][]float64
			for b.Loop() {
				for round := range max(1, *rounds) {
					for i, s := range servers {
						if round > 0 {
							if err := converse(fillers[i], refill[i]); err != nil {
								b.Fatal(err)
							}
						}
						before := cpuTime(b, s)
						r := runLoad(b, takers[i], jobLimit, jobs)
						cpu[i] = append(cpu[i], micros(cpuTime(b, s)-before)/float64(r.Commands))
					}
				}
			}
			n := len(cpu[0])
			t.row(b, median(n, func(i int) float64 { return cpu[0][i] / cpu[1][i] }),
				median(n, func(i int) float64 { return cpu[0][i] }), median(n, func(i int) float64 { return cpu[1][i] }))
		})
	}
	t.print(b)
}

// BenchmarkMemoryPerTube is what a tube takes of memory that is watched, or that
// holds a job, and whether all of it comes back. Of beanstalkd, which looks for a
// tube by going through all, it is asked for some of them.
func BenchmarkMemoryPerTube(b *testing.B) {
	contend := contenders(b)
	tubes := [2]int{scaled(100_000), scaled(3_000)}
	t := newTable("spoked-B/tube", "beanstalkd-B/tube", "spoked-MB-before", "spoked-MB-full", "spoked-MB-10s-after", "s-to-30MB")
	for _, name := range []string{"watched", "holding-a-job"} {
		b.Run(name, func(b *testing.B) {
			var perTube, before, full [2]float64
			for b.Loop() {
				for _, i := range []int{1, 0} {
					s := contend[i].start(b)
					before[i] = residentBytes(b, s)
					var text strings.Builder
					for k := range tubes[i] {
						if name == "watched" {
							fmt.Fprintf(&text, "watch tube-%d\r\n", k)
						} else {
							fmt.Fprintf(&text, "use tube-%d\r\nput 1 0 100 16\r\nxxxxxxxxxxxxxxxx\r\n", k)
						}
					}
					fd := askServer(b, s, text.String())
					full[i] = residentBytes(b, s)
					perTube[i] = (full[i] - before[i]) / float64(tubes[i])
					unix.Close(fd)
					if i == 0 {
						if name != "watched" {
							applyLoad(b, s, load{Conns: 1, Pipeline: 32, Steps: deleteOnly, Gaps: true}, tubes[i])
						}
						awaitStat(b, s, "current-tubes", 1)
						took, left := drained(b, s, before[i])
						t.row(b, perTube[0], perTube[1], before[0]/mega, full[0]/mega, left/mega, took.Seconds())
					}
					stopServer(b, s)
				}
			}
		})
	}
	t.print(b)
}
