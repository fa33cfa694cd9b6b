"""Trains the example model: a support vector classifier on Fisher's irises.
The same scikit-learn gives the same bytes. Usage: train.py FILE"""
import os
import sys

import joblib
from sklearn import datasets, svm

iris = datasets.load_iris()
model = svm.SVC(gamma="scale").fit(iris.data, iris.target)
score = model.score(iris.data, iris.target)
if score < 0.95:
    sys.exit(f"the model fits its own training data with {score:.3f} only")
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
joblib.dump(model, sys.argv[1])
print(f"score {score:.3f}")
