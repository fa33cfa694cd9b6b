package lifecycle

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const (
	// diskSize is more than a node with everything on it takes.
	diskSize = 12 << 30
	// registryPort is where a node has its images from.
	registryPort = 5001
)

// fullDisk has the node, and the stack's state, on a disk that is full in the middle of
// an up. That one says so and fails; the node goes on when there is room, and the next
// up puts it right.
func (l *life) fullDisk(ctx context.Context, t *testing.T) {
	disk, leave, err := l.node.OnDisk(ctx, diskSize)
	defer func() {
		if leave != nil {
			assert.NoError(t, leave(context.WithoutCancel(ctx)))
			l.nodeUp(context.WithoutCancel(ctx), t)
		}
	}()
	require.NoError(t, err)
	l.nodeUp(ctx, t)
	record, err := l.node.Record()
	require.NoError(t, err)
	p := l.begun(ctx, t, &watched{}, points[4])
	require.NoError(t, disk.Fill())
	<-time.After(fullFor)
	require.NoError(t, disk.Free())
	start := time.Now()
	r, err := p.Wait()
	require.NoError(t, err)
	t.Logf("up ended %s after there was room again: %s", time.Since(start).Round(time.Second), r)
	assert.NotZero(t, r.Code)
	assert.Contains(t, r.Stderr, "no space left on device", "it does not say why")
	l.nodeUp(ctx, t)
	again, err := l.node.Record()
	require.NoError(t, err)
	assert.Equal(t, record.PID, again.PID, "the node had to be started by hand")
	l.up(ctx, t)
	rig.Succeed(ctx, t, l.command("verify", "--wait", "3m"))
	t.Logf("everything right %s after there was room again", time.Since(start).Round(time.Second))
	assert.False(t, l.up(ctx, t), "something was left to do")
}

// fullFor is how long a disk is full, and goneFor how long there is no registry.
const (
	fullFor = 90 * time.Second
	goneFor = time.Minute
)

// noRegistry refuses the node its images in the middle of the first up. That very up
// waits for them.
func (l *life) noRegistry(ctx context.Context, t *testing.T) {
	rig.Succeed(ctx, t, l.node.Down(true))
	l.nodeUp(ctx, t)
	restore, err := l.node.Refuse(ctx, registryPort)
	require.NoError(t, err)
	defer func() {
		if restore != nil {
			assert.NoError(t, restore(context.WithoutCancel(ctx)))
		}
	}()
	said := &watched{}
	start := time.Now()
	p := l.begun(ctx, t, said, points[1])
	require.NoError(t, rig.Poll(ctx, 2*time.Minute, 100*time.Millisecond, func(context.Context) (string, error) {
		if !pull.MatchString(said.String()) {
			return "up does not say that images cannot be pulled: " + said.String(), nil
		}
		return "", nil
	}))
	t.Logf("up says so %s after it began:\n%s", time.Since(start).Round(time.Second), pull.FindString(said.String()))
	if left := goneFor - time.Since(start); left > 0 {
		select {
		case <-p.Done():
		case <-time.After(left):
		}
	}
	require.NoError(t, restore(ctx))
	restore, start = nil, time.Now()
	r, err := p.Wait()
	require.NoError(t, err)
	require.Zero(t, r.Code, "%s", r)
	t.Logf("up ended %s after the registry was back", time.Since(start).Round(time.Second))
	rig.Succeed(ctx, t, l.command("verify", "--wait", "3m"))
	assert.False(t, l.up(ctx, t), "something was left to do")
}

// pull is the line of an up that says what is wrong.
var pull = regexp.MustCompile(`(?m)^.*(ErrImagePull|ImagePullBackOff).*$`)
