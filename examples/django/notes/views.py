from django.forms import modelform_factory
from django.shortcuts import redirect, render

from .models import Note

NoteForm = modelform_factory(Note, fields=['text', 'picture'])


def index(request):
    form = NoteForm(request.POST or None, request.FILES or None)
    if request.method == 'POST' and form.is_valid():
        form.save()
        return redirect('index')
    return render(request, 'notes/index.html', {'form': form, 'notes': Note.objects.order_by('pk')})
