package cost

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Amount is an exact quantity of each resource. The zero value is nothing.
type Amount struct {
	// CPU is in cores, Memory in bytes, GPU in devices of any make.
	CPU    resource.Quantity `json:"cpu"`
	Memory resource.Quantity `json:"memory"`
	GPU    resource.Quantity `json:"gpu"`
	// EphemeralStorage is in bytes of a node's disk.
	EphemeralStorage resource.Quantity `json:"ephemeralStorage"`
}

// dimension is a field of Amount.
type dimension int

const (
	cpu dimension = iota
	memory
	gpu
	disk
	dimensions
)

func (d dimension) String() string {
	return [...]string{"CPU", "memory", "GPU", "ephemeral storage"}[d]
}

func (a *Amount) field(d dimension) *resource.Quantity {
	return [...]*resource.Quantity{&a.CPU, &a.Memory, &a.GPU, &a.EphemeralStorage}[d]
}

// Plus is a and b together.
func (a Amount) Plus(b Amount) Amount { return each(a, b, (*resource.Quantity).Add) }

// Minus is what is left of a without b; it may be negative.
func (a Amount) Minus(b Amount) Amount { return each(a, b, (*resource.Quantity).Sub) }

// Times is n times a.
func (a Amount) Times(n int64) Amount {
	var out Amount
	for d := range dimensions {
		q := a.field(d).DeepCopy()
		q.Mul(n)
		*out.field(d) = canonical(d, q)
	}
	return out
}

// Equal says whether a and b are the same amounts, however they were written.
func (a Amount) Equal(b Amount) bool {
	for d := range dimensions {
		if a.field(d).Cmp(*b.field(d)) != 0 {
			return false
		}
	}
	return true
}

// String is for messages: the CPU, the memory and any GPUs.
func (a Amount) String() string {
	s := fmt.Sprintf("%s CPU, %s memory", a.CPU.String(), a.Memory.String())
	if !a.GPU.IsZero() {
		s += fmt.Sprintf(", %s GPU", a.GPU.String())
	}
	return s
}

func each(a, b Amount, op func(*resource.Quantity, resource.Quantity)) Amount {
	var out Amount
	for d := range dimensions {
		// A quantity shares its digits with its copies: change a deep one.
		q := a.field(d).DeepCopy()
		op(&q, *b.field(d))
		*out.field(d) = canonical(d, q)
	}
	return out
}

// canonical gives q the notation of its dimension, so that equal amounts are
// shown equally: 1000m is 1, 1024Mi is 1Gi.
func canonical(d dimension, q resource.Quantity) resource.Quantity {
	q.Format = resource.DecimalSI
	if d == memory || d == disk {
		q.Format = resource.BinarySI
	}
	if q.IsZero() {
		return resource.Quantity{Format: q.Format}
	}
	return q
}

// parse reads an amount of a resource; what cannot be one is an error that says
// what to write.
func parse(d dimension, text string) (resource.Quantity, error) {
	const write = "write an amount such as 250m or 2 (CPU), 512Mi or 1Gi (memory), 1 (GPU)"
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return q, fmt.Errorf("is %q: %s", text, write)
	}
	if q.Sign() < 0 {
		return q, fmt.Errorf("is %q: write 0 or more", text)
	}
	// A parsed quantity remembers how it was written, a sum does not.
	out := resource.Quantity{}
	out.Add(q)
	return canonical(d, out), nil
}

// list is what a container, or the level of the pod, asks for; nil is nothing
// written.
type list [dimensions]*resource.Quantity

func (l list) amount() Amount {
	var a Amount
	for d := range dimensions {
		q := resource.Quantity{}
		if l[d] != nil {
			q = *l[d]
		}
		*a.field(d) = canonical(d, q)
	}
	return a
}

// or is l with what it lacks from other.
func (l list) or(other list) list {
	for d := range dimensions {
		if l[d] == nil {
			l[d] = other[d]
		}
	}
	return l
}

// plus is the sum; what neither has stays unwritten.
func (l list) plus(other list) list {
	for d := range dimensions {
		switch {
		case other[d] == nil:
		case l[d] == nil:
			l[d] = other[d]
		default:
			q := l[d].DeepCopy()
			q.Add(*other[d])
			l[d] = &q
		}
	}
	return l
}

// most is the greater of each.
func (l list) most(other list) list {
	for d := range dimensions {
		if other[d] != nil && (l[d] == nil || other[d].Cmp(*l[d]) > 0) {
			l[d] = other[d]
		}
	}
	return l
}

// written reads configured shares; an empty text is nothing written.
func written(what string, s config.Shares) (list, error) {
	var l list
	for d, text := range map[dimension]string{cpu: s.CPU, memory: s.Memory, disk: s.EphemeralStorage} {
		if text == "" {
			continue
		}
		q, err := parse(d, text)
		if err != nil {
			return l, fmt.Errorf("%s of %s %w", d, what, err)
		}
		l[d] = &q
	}
	return l, nil
}
