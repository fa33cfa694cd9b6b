package provisioner

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func options(mode corev1.PersistentVolumeMode) controller.ProvisionOptions {
	policy := corev1.PersistentVolumeReclaimDelete
	return controller.ProvisionOptions{
		StorageClass: &storagev1.StorageClass{ReclaimPolicy: &policy},
		PVName:       "pvc-1",
		PVC: &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{
			VolumeMode:  &mode,
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}},
	}
}

func provisioner(dir string) *local {
	return &local{dir, "node-a", slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func TestVolumeIsAFolderEveryUserMayWrite(t *testing.T) {
	p := provisioner(t.TempDir())
	volume, state, err := p.Provision(t.Context(), options(corev1.PersistentVolumeFilesystem))
	require.NoError(t, err)
	assert.Equal(t, controller.ProvisioningFinished, state)
	info, err := os.Stat(volume.Spec.HostPath.Path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o777), info.Mode().Perm())
	term := volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]
	assert.Equal(t, []string{"node-a"}, term.Values)
	assert.Equal(t, resource.MustParse("1Gi"), volume.Spec.Capacity[corev1.ResourceStorage])

	require.NoError(t, p.Delete(t.Context(), volume))
	assert.NoDirExists(t, volume.Spec.HostPath.Path)
}

func TestBlockVolumeIsRefused(t *testing.T) {
	_, state, err := provisioner(t.TempDir()).Provision(t.Context(), options(corev1.PersistentVolumeBlock))
	assert.ErrorContains(t, err, "volumeMode Block")
	assert.Equal(t, controller.ProvisioningFinished, state)
}

func TestFolderOutsideTheVolumesIsNeverRemoved(t *testing.T) {
	p, other := provisioner(t.TempDir()), t.TempDir()
	for _, path := range []string{other, filepath.Join(p.dir, ".."), p.dir} {
		volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: path}}}}
		var ignored *controller.IgnoredError
		assert.ErrorAs(t, p.Delete(t.Context(), volume), &ignored, path)
	}
	assert.DirExists(t, other)
}
